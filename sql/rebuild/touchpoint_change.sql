-- touchpoint_change: the touchpoints of the day as they were read again, against those that are stored: what is gone and what is new.
-- grain: (day, event_id)   reads: touchpoint, rebuild_touchpoint, read_range   writes: old_touchpoint, rebuilt_touchpoint, batch_touchpoint, gone_touchpoint
-- parameters: day
-- Stored rows from outside the ranges that were read came meanwhile, or from elsewhere: they stand. Of several with one id the stored one stays,
-- else the one that was read first. A row that is as it was is not touched: it keeps its time of ingestion.
create or replace temp table old_touchpoint as
select t.* exclude (event_id, ingested_at), t.rowid as stored_rowid, r.partition is not null as is_read
from touchpoint as t
left join read_range as r
    on r.stream = 'touchpoints' and r.partition = t.partition and t."offset" >= r.first_offset and t."offset" < r.before_offset
where t.day = $day;

create or replace temp table rebuilt_touchpoint as
select n.*
from rebuild_touchpoint as n
left join old_touchpoint as o
    on o.event_uuid = n.event_uuid and o.event_text is not distinct from n.event_text and o.partition = n.partition and o."offset" = n."offset"
where n.day = $day
qualify row_number() over (partition by n.event_uuid, n.event_text order by o.day is null, n.seq) = 1;

delete from rebuilt_touchpoint as n
using old_touchpoint as o
where not o.is_read and o.event_uuid = n.event_uuid and o.event_text is not distinct from n.event_text;

create or replace temp table batch_touchpoint as
select n.* from rebuilt_touchpoint as n
semi join (select * exclude (seq) from rebuilt_touchpoint except select * exclude (stored_rowid, is_read) from old_touchpoint) as changed
    on changed.event_uuid = n.event_uuid and changed.event_text is not distinct from n.event_text;

create or replace temp table gone_touchpoint as
select o.* from old_touchpoint as o
anti join (select * exclude (stored_rowid, is_read) from old_touchpoint intersect select * exclude (seq) from rebuilt_touchpoint) as same
    on same.event_uuid = o.event_uuid and same.event_text is not distinct from o.event_text
where o.is_read;
