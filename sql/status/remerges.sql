-- remerges: the ten closed days that changed last, newest first, each with all that has changed in it since it closed.
-- grain: day   reads: day_state, ledger, ledger_sales, file_setting
-- net_cents: in the reporting currency.
with last as (
    select day, revision, changed_at from day_state where revision > 1 order by changed_at desc, day desc limit 10
),
change as (
    select day, sum(late_new) as late_new, sum(late_update) as late_update, sum(touchpoints) as touchpoints, sum(orders) as orders
    from ledger semi join last using (day) group by day
),
money as (
    select day, sum(net_cents) as net_cents from ledger_sales semi join last using (day)
    where currency = (select value from file_setting where name = 'reporting_currency') group by day
)
select day, revision, changed_at, late_new, late_update, touchpoints, orders, coalesce(net_cents, 0) as net_cents
from last join change using (day) left join money using (day)
order by changed_at desc, day desc;
