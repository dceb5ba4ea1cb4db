-- remerged_days: what changed in each closed day, most often changed first, and the offsets it came from.
-- grain: day   reads: ledger, ledger_sales, ledger_offset   parameters: currency
-- offsets: the widest of the ranges that it came from.
with origins as (
    select day, max_by(topic || '/' || partition || ' ' || first_offset || '-' || last_offset, last_offset - first_offset) as offsets
    from (select day, topic, partition, min(first_offset) as first_offset, max(last_offset) as last_offset from ledger_offset group by all)
    group by day
),
money as (select day, sum(net_cents) as net_cents from ledger_sales where currency = $currency group by day),
changes as (
    select day, sum(commits) as commits, sum(late_new) as late_new, sum(late_update) as late_update, sum(touchpoints) as touchpoints, sum(orders) as orders
    from ledger group by day
)
select c.day, c.commits, c.late_new, c.late_update, c.touchpoints, c.orders, coalesce(m.net_cents, 0) as net_cents, o.offsets
from changes as c
left join money as m on m.day = c.day
left join origins as o on o.day = c.day
order by c.commits desc, c.day;
