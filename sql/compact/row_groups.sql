-- row_groups: how a table lies in the file, from its first row on. Of each row group its rows (deleted ones too), the days that its zone
-- map spans, and the blocks that hold something of it.
-- grain: row group   reads: the storage of $table   parameters: table
select cast(sum(count) filter (where column_path = '[0]') as bigint) as stored_rows,
       min(try_cast(stats.min as date)) filter (where column_name = 'day' and segment_type = 'DATE') as first_day,
       max(try_cast(stats.max as date)) filter (where column_name = 'day' and segment_type = 'DATE') as last_day,
       coalesce(flatten(list(list_append(additional_block_ids, block_id)) filter (where persistent and block_id >= 0)), []) as blocks
from pragma_storage_info($table)
group by row_group_id
order by row_group_id;
