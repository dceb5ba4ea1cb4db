-- expired_days: the expired messages of some days that are not resolved.
-- grain: one row   reads: expired   parameters: first, last
select count(*) as messages, max(id) as last_id
from expired where day between cast($first as date) and cast($last as date) and resolved_at is null;
