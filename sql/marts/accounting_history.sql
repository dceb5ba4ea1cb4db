-- accounting_history: the books of messages as each day closed; between two of them lies what came meanwhile.
-- grain: (as_of, origin, stream)   reads: accounting, accounting_history, progress
-- The books are sums since the file was created: what share of a day's messages was duplicate can be told only from how they stood before.
/*
unit = "append"
priority = 5
limits = ["Messages are counted when they were read, whatever day their events are of."]
[columns]
as_of = { type = "date", about = "the last closed day at the time" }
origin = { type = "varchar", about = "live, replay, backfill, dlq or readmit" }
stream = { type = "varchar", about = "the stream" }
read = { type = "bigint", about = "messages read since the file was created" }
accepted = { type = "bigint", about = "those of them that were accepted" }
duplicate = { type = "bigint", about = "duplicates among them" }
superseded = { type = "bigint", about = "versions of orders, customers, products that were not the newest" }
rejected = { type = "bigint", about = "messages that could not become events" }
expired = { type = "bigint", about = "events of sealed days" }

[[audits]]
name = "every message is accounted for, and none is unread again"
query = """
    select * from accounting_history
    qualify read <> accepted + duplicate + superseded + rejected + expired or read < lag(read) over (partition by origin, stream order by as_of)
"""

[[audits]]
name = "duplicates are as rare as before"
severity = "warning"
query = """
    with came as (
        select as_of, origin, stream, read - lag(read, 1, 0) over books as messages, duplicate - lag(duplicate, 1, 0) over books as duplicates
        from accounting_history where origin = 'live'
        window books as (partition by origin, stream order by as_of)
    ),
    compared as (
        select *, cast(sum(duplicates) over earlier as double) / nullif(cast(sum(messages) over earlier as double), 0) as usual_share
        from came
        window earlier as (partition by origin, stream order by as_of rows between 30 preceding and 1 preceding)
    )
    select as_of, stream, messages, duplicates, usual_share from compared
    where as_of = (select max(as_of) from accounting_history) and messages >= 1000 and duplicates > messages * greatest(0.01, 2 * usual_share)
"""
remedy = "Does a producer send twice, or was a topic filled again? No number is wrong: each event counts once. tidemark status has the books."

[[questions]]
ask = "Which share of the messages that came between two closings was duplicate?"
sql = "select as_of, stream, cast(duplicate - lag(duplicate, 1, 0) over books as double) / nullif(read - lag(read, 1, 0) over books, 0) as duplicate_share from accounting_history where origin = 'live' window books as (partition by origin, stream order by as_of) order by as_of, stream"
*/
select cast($as_of as date) as as_of, origin, stream, read, accepted, duplicate, superseded, rejected, expired
from accounting
where not exists (select 1 from accounting_history as h where h.as_of >= $as_of) and $as_of < (select closed_before from progress)
