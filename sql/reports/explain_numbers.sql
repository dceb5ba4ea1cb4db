-- explain_numbers: a day's touchpoints, and orders and money by currency: at closing, what was added since, now.
-- grain: (currency, measure)   reads: daily_channel, daily_sales, ledger, ledger_sales, table_switch   parameters: day
-- At closing is now less what the ledger says was added. Nothing is said where the daily table is switched off.
with state as (
    select true as is_now, currency, cast(sum(orders) as hugeint) as orders, sum(gross_cents) as gross_cents, sum(discount_cents) as discount_cents,
           sum(refunded_cents) as refunded_cents, sum(net_cents) as net_cents, sum(tax_cents) as tax_cents, sum(cost_cents) as cost_cents
    from daily_sales where day = cast($day as date) group by currency
    union all
    select false, currency, cast(sum(orders) as hugeint), sum(gross_cents), sum(discount_cents), sum(refunded_cents), sum(net_cents), sum(tax_cents),
           sum(cost_cents)
    from ledger_sales where day = cast($day as date) group by currency
),
amount as (
    select 'daily_channel' as table_name, 0 as place, null as currency, 'touchpoints' as measure, true as is_now, cast(sum(touchpoints) as hugeint) as amount
    from daily_channel where day = cast($day as date)
    union all
    select 'daily_channel', 0, null, 'touchpoints', false, cast(sum(touchpoints) as hugeint) from ledger where day = cast($day as date)
    union all
    select 'daily_sales', list_position(['orders', 'gross_cents', 'discount_cents', 'refunded_cents', 'net_cents', 'tax_cents', 'cost_cents'], measure),
           currency, measure, is_now, amount
    from (unpivot state on orders, gross_cents, discount_cents, refunded_cents, net_cents, tax_cents, cost_cents into name measure value amount)
)
select currency, measure, coalesce(sum(amount) filter (is_now), 0) - coalesce(sum(amount) filter (not is_now), 0) as at_closing,
       coalesce(sum(amount) filter (not is_now), 0) as change, coalesce(sum(amount) filter (is_now), 0) as now
from amount
where table_name in (select name from table_switch where is_on)
group by currency, measure, place
order by currency nulls first, place;
