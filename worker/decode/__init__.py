"""From bytes to events: framing and schema ids, the columnar Avro decoder, schema sources, the contract's limits."""
