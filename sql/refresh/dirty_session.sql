-- dirty_session: the sessions that a dirty customer takes part in: whose touchpoint is whose can be told from all of a session only.
-- grain: (day, session_id)   reads: touchpoint, dirty_customer   writes: dirty_session   parameters: as_of
create or replace temp table dirty_session as
select distinct t.day, t.session_id
from touchpoint as t semi join dirty_customer as c on c.customer_id = t.customer_id
where t.day <= $as_of;
