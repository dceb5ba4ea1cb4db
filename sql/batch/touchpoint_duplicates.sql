-- touchpoint_duplicates: which of the candidates are there already, in the file or earlier in the batch, and whether their content differs.
-- grain: seq of incoming touchpoints   reads: candidate_touchpoint, touchpoint   writes: stored_touchpoint
-- Candidates are few: the rows that the membership filter or the batch itself could not tell to be new. Their keys are looked for first, those of
-- the newest days apart from the few of days before (a join prunes by the first and the last day alone, and costs by rows times days); the
-- contents of the table are read only for those that are found.
create or replace temp table stored_touchpoint as
with candidate as (
    select day, event_uuid, day >= (select max(day) - 1 from candidate_touchpoint) as is_newest from candidate_touchpoint
)
select t.rowid as stored_rowid from touchpoint as t semi join (from candidate where is_newest) as c on t.day = c.day and t.event_uuid = c.event_uuid
union all
select t.rowid from touchpoint as t semi join (from candidate where not is_newest) as c on t.day = c.day and t.event_uuid = c.event_uuid;

with candidate as (
    select day, event_uuid, event_text, seq,
           struct_pack(customer_id, session_id, occurred_at, event_type, channel, campaign, product_id, device, cost_cents, review_score, page_type, browser) as content
    from candidate_touchpoint
),
stored as (
    select day, event_uuid, event_text, cast(-1 as bigint) as seq,
           struct_pack(customer_id, session_id, occurred_at, event_type, channel, campaign, product_id, device, cost_cents,
                       review_score := cast(review_score as integer), page_type, browser) as content
    from touchpoint
    where rowid in (select stored_rowid from stored_touchpoint)
),
kept as (
    select day, event_uuid, event_text, min(seq) as seq, arg_min(content, seq) as content
    from (from stored union all from candidate)
    group by day, event_uuid, event_text
    having count(*) > 1
)
select c.seq, c.content is distinct from kept.content as is_conflicting
from candidate as c
join kept on kept.day = c.day and kept.event_uuid = c.event_uuid and kept.event_text is not distinct from c.event_text
where c.seq > kept.seq;
