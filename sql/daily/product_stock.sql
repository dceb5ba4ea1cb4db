-- product_stock: the readings of stock that are new, from every valid product message, superseded ones too.
-- grain: (product_id, updated_at, stock_level)   reads: incoming_product   writes: product_stock, batch_stock
create or replace temp table batch_stock as
select distinct i.day, i.product_id, i.updated_at, i.stock_level
from incoming_product as i
anti join (
    -- only the readings that may be the same are held against the batch: product_stock grows for ever
    select p.product_id, p.updated_at, p.stock_level
    from product_stock as p semi join incoming_product as n on p.product_id = n.product_id and p.updated_at = n.updated_at
) as s on s.product_id = i.product_id and s.updated_at = i.updated_at and s.stock_level = i.stock_level
where i.stock_level is not null;

insert into product_stock by name select * from batch_stock;
