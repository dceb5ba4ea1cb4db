-- books: what became of every message read, by stream; the last row is all of them.
-- grain: stream   reads: accounting
select stream, sum(read), sum(accepted), sum(duplicate), sum(superseded), sum(rejected), sum(expired)
from accounting
group by rollup (stream)
order by stream nulls last;
