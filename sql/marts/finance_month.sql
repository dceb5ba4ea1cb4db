-- finance_month: money by calendar month and currency, and how much of it came after its days had closed.
-- grain: (month, currency)   reads: daily_sales, ledger_sales
-- A month of which nothing is left has a row while what was taken away after its days had closed is more than what was added, or less.
/*
formula = "revenue = gross - discounts - refunds; profit = revenue - cost; margin = profit / revenue"
limits = ["an item without a unit cost costs 0 here: units_without_cost says how many there are"]
[columns]
month = { about = "the month's first day" }
currency = { about = "the currency of the orders" }
is_complete = { about = "the month has ended by as_of" }
orders = { about = "counted orders" }
gross = { unit = "minor units", about = "quantity by unit price" }
discounts = { unit = "minor units", about = "of orders and of items" }
refunds = { unit = "minor units", about = "refunded, in the month of the order" }
revenue = { unit = "minor units", about = "net: gross less discounts and refunds" }
tax = { unit = "minor units", about = "outside revenue" }
shipping = { unit = "minor units", about = "outside revenue" }
cost = { unit = "minor units", about = "quantity by unit cost, where it is known" }
units_without_cost = { about = "pieces whose cost is not known" }
profit = { unit = "minor units", about = "revenue less cost" }
margin = { unit = "fraction", about = "profit by revenue; null where revenue is 0 or less" }
changed_after_close = { unit = "minor units", about = "how much of revenue was added, or taken away, by events after their day had closed (ledger_sales)" }

[[audits]]
name = "revenue is what is left of gross"
query = "select month, currency from finance_month where revenue <> gross - discounts - refunds"

[[audits]]
name = "margin is within 100 %"
severity = "warning"
query = "select month, currency, margin from finance_month where abs(margin) > 1"
remedy = "Costs exceed revenue twice over, or are in another unit than prices: look at unit_cost_cents of order_item."

[[audits]]
name = "sums are those of the days"
query = """
    select month, currency, f.revenue, s.revenue, f.orders, s.orders
    from finance_month as f
    full join (
        select cast(date_trunc('month', day) as date) as month, currency, sum(net_cents) as revenue, sum(orders) as orders
        from daily_sales where day <= $as_of group by 1, currency
    ) as s using (month, currency)
    where (coalesce(f.revenue, 0) <> coalesce(s.revenue, 0) or coalesce(f.orders, 0) <> coalesce(s.orders, 0))
      and month not in (select cast(date_trunc('month', day) as date) from day_state where changed_at > $read_at)
"""

[[questions]]
ask = "What did each month earn, and how much of it was booked after its days had closed?"
sql = "select currency, month, revenue, profit, margin, changed_after_close from finance_month order by currency, month"
*/
with booked as (
    select day, currency, orders, gross_cents, discount_cents, refunded_cents, net_cents, tax_cents, shipping_cents, cost_cents, units_without_cost,
           0 as late_cents
    from daily_sales
    union all
    select day, currency, 0, 0, 0, 0, 0, 0, 0, 0, 0, net_cents from ledger_sales
),
summed as (
    select cast(date_trunc('month', day) as date) as month, currency, cast(sum(orders) as bigint) as orders,
           cast(sum(gross_cents) as decimal(38, 0)) as gross, cast(sum(discount_cents) as decimal(38, 0)) as discounts,
           cast(sum(refunded_cents) as decimal(38, 0)) as refunds, cast(sum(net_cents) as decimal(38, 0)) as revenue,
           cast(sum(tax_cents) as decimal(38, 0)) as tax, cast(sum(shipping_cents) as decimal(38, 0)) as shipping,
           cast(sum(cost_cents) as decimal(38, 0)) as cost, cast(sum(units_without_cost) as bigint) as units_without_cost,
           cast(sum(late_cents) as decimal(38, 0)) as changed_after_close
    from booked group by 1, 2
)
select month, currency, last_day(month) <= $as_of as is_complete, orders, gross, discounts, refunds, revenue, tax, shipping, cost,
       units_without_cost, revenue - cost as profit,
       cast(revenue - cost as double) / nullif(cast(greatest(revenue, 0) as double), 0) as margin, changed_after_close
from summed where orders > 0 or changed_after_close <> 0
