-- version_outcome: what becomes of each version of a keyed row, as if they came one by one, and which version stands at the end.
-- grain: version   reads: version (key_day, key_id, seq, updated_at, offset, partition, content_hash; the stored version has seq -1)   writes: version_outcome
-- Greater is by (updated_at, offset, partition, content_hash). The same time and content is a duplicate; a winner of equal rank is the stored one.
create or replace temp table version_outcome as
with ranked as (
    select key_day, key_id, seq, struct_pack(updated_at, "offset", partition, content_hash) as version from version
),
compared as (
    select *,
           max(version) over (partition by key_day, key_id order by seq rows between unbounded preceding and 1 preceding) as greatest_before,
           row_number() over (partition by key_day, key_id order by version desc, seq) = 1 as is_winner
    from ranked
)
select seq, is_winner,
       case when version.updated_at = greatest_before.updated_at and version.content_hash = greatest_before.content_hash then 'duplicate'
            when greatest_before is null or version > greatest_before then 'accepted'
            else 'superseded' end as outcome
from compared
where seq >= 0;
