-- The queries of the analyst benchmark. Each begins with its name. `order: total` says that ORDER BY decides the place of every row, so
-- that answers are compared in order. `limit: 2 s` is a bound in addition to the ratio. LIST=file runs another list of this form.

-- name: masked self-join
-- limit: 2 s
SELECT count(*) FROM customers a JOIN customers b ON a.email = b.email

-- name: self-join on an unindexed column
-- limit: 2 s
SELECT count(*) FROM work_orders a JOIN work_orders b ON a.technician_id = b.technician_id

-- name: count of one day
-- limit: 2 s
SELECT count(*) FROM orders WHERE placed_at >= '2026-03-05' AND placed_at < '2026-03-06'

-- name: latest 20 orders
-- order: total
-- limit: 2 s
SELECT id, placed_at, total_cents FROM orders ORDER BY placed_at DESC LIMIT 20

-- name: 90 correlated day counts
-- order: total
-- limit: 2 s
WITH RECURSIVE days(day) AS (SELECT '2026-01-01' UNION ALL SELECT date(day, '+1 day') FROM days WHERE day < '2026-03-31')
SELECT day, (SELECT count(*) FROM orders o WHERE o.placed_at >= d.day AND o.placed_at < date(d.day, '+1 day')) AS orders
FROM days d ORDER BY day

-- name: orders of everybody named Oscar
-- limit: 2 s
SELECT c.name, count(*), sum(o.total_cents)
FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.name LIKE 'Oscar%' GROUP BY c.name

-- name: share of returned orders
-- limit: 2 s
WITH a AS (SELECT count(*) n FROM orders WHERE status = 'returned'), b AS (SELECT count(*) n FROM orders)
SELECT 100.0 * a.n / b.n FROM a, b

-- name: orders above the average
-- limit: 2 s
WITH m AS (SELECT avg(total_cents) a FROM orders) SELECT count(*) FROM orders o JOIN m ON o.total_cents > m.a

-- name: monthly totals joined to themselves
-- order: total
-- limit: 2 s
WITH m AS (SELECT substr(placed_at, 1, 7) AS month, sum(total_cents) AS revenue FROM orders GROUP BY 1)
SELECT a.month, a.revenue, count(*) AS better_months
FROM m a JOIN m b ON b.revenue >= a.revenue GROUP BY a.month, a.revenue ORDER BY a.month

-- name: full join on equal keys
-- limit: 2 s
SELECT count(*), count(c.id), count(e.customer_id)
FROM customers c FULL OUTER JOIN events e ON e.customer_id = c.id

-- name: join on masking tokens
SELECT e.kind, count(*) FROM events e JOIN customers c ON c.account = e.account
WHERE e.occurred_at >= '2026-11-01' GROUP BY e.kind

-- name: all events joined on masking tokens
SELECT c.segment, count(*), count(DISTINCT e.account)
FROM events e JOIN customers c ON c.account = e.account GROUP BY c.segment

-- name: one order
SELECT * FROM orders WHERE id = 7777

-- name: one customer with their orders
-- order: total
SELECT o.id, o.placed_at, o.status, o.total_cents FROM orders o WHERE o.customer_id = 601 ORDER BY o.id LIMIT 100

-- name: revenue by month
-- order: total
SELECT strftime('%Y-%m', placed_at) AS month, count(*) AS orders, sum(total_cents) / 100.0 AS revenue
FROM orders WHERE status <> 'cancelled' GROUP BY month ORDER BY month

-- name: revenue by region and channel
SELECT region, channel, count(*), sum(total_cents), round(avg(total_cents), 2) FROM orders GROUP BY region, channel

-- name: revenue of one week
SELECT count(*), sum(total_cents) FROM orders WHERE placed_at BETWEEN '2026-06-01' AND '2026-06-08'

-- name: revenue of one month by category
-- order: total
SELECT p.category, sum(o.quantity) AS pieces, sum(o.total_cents) AS revenue
FROM orders o JOIN products p ON p.id = o.product_id
WHERE o.placed_at >= '2026-05-01' AND o.placed_at < '2026-06-01'
GROUP BY p.category ORDER BY revenue DESC, p.category

-- name: best products of a quarter
-- order: total
SELECT p.sku, p.name, sum(o.total_cents) AS revenue
FROM products p JOIN orders o ON o.product_id = p.id
WHERE o.placed_at >= '2026-04-01' AND o.placed_at < '2026-07-01' AND o.status <> 'returned'
GROUP BY p.id ORDER BY revenue DESC, p.id LIMIT 25

-- name: best customers
-- order: total
SELECT c.id, c.name, sum(o.total_cents) AS spent
FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.id ORDER BY spent DESC, c.id LIMIT 50

-- name: top 3 products of each category
-- order: total
WITH sales AS (
  SELECT p.category, p.name, sum(o.total_cents) AS revenue
  FROM orders o JOIN products p ON p.id = o.product_id GROUP BY p.id
), ranked AS (
  SELECT *, row_number() OVER (PARTITION BY category ORDER BY revenue DESC, name) AS place FROM sales
)
SELECT category, place, name, revenue FROM ranked WHERE place <= 3 ORDER BY category, place

-- name: latest order of each staff member
-- order: total
SELECT id, customer_id, placed_at FROM (
  SELECT o.id, o.customer_id, o.placed_at, row_number() OVER (PARTITION BY o.customer_id ORDER BY o.placed_at DESC, o.id) AS n
  FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.segment = 'staff'
) WHERE n = 1 ORDER BY customer_id LIMIT 1000

-- name: first order of each customer by correlated subquery
SELECT count(*), sum(total_cents) FROM orders o
WHERE o.placed_at < '2025-02-01'
  AND o.id = (SELECT min(i.id) FROM orders i WHERE i.customer_id = o.customer_id)

-- name: running total by day
-- order: total
WITH d AS (SELECT date(placed_at) AS day, sum(total_cents) AS revenue FROM orders
  WHERE placed_at >= '2026-01-01' AND placed_at < '2026-04-01' GROUP BY 1)
SELECT day, revenue, sum(revenue) OVER (ORDER BY day) AS running FROM d ORDER BY day

-- name: moving average over 7 days
-- order: total
WITH d AS (SELECT date(placed_at) AS day, count(*) AS orders FROM orders GROUP BY 1)
SELECT day, orders, round(avg(orders) OVER (ORDER BY day ROWS BETWEEN 6 PRECEDING AND CURRENT ROW), 2) AS average
FROM d ORDER BY day

-- name: growth by month
-- order: total
WITH m AS (SELECT substr(placed_at, 1, 7) AS month, sum(total_cents) AS revenue FROM orders GROUP BY 1)
SELECT month, revenue, lag(revenue) OVER w AS previous,
  round(100.0 * (revenue - lag(revenue) OVER w) / lag(revenue) OVER w, 1) AS growth
FROM m WINDOW w AS (ORDER BY month) ORDER BY month

-- name: same month of the year before
-- order: total
WITH m AS (SELECT CAST(substr(placed_at, 1, 4) AS INTEGER) AS year, substr(placed_at, 6, 2) AS month, sum(total_cents) AS revenue
  FROM orders GROUP BY 1, 2)
SELECT n.month, n.revenue, p.revenue AS before, n.revenue - p.revenue AS difference
FROM m n JOIN m p ON p.month = n.month AND p.year = n.year - 1 ORDER BY n.month

-- name: share of each channel in its region
-- order: total
WITH s AS (SELECT region, channel, sum(total_cents) AS revenue FROM orders GROUP BY region, channel)
SELECT region, channel, round(100.0 * revenue / sum(revenue) OVER (PARTITION BY region), 2) AS share
FROM s ORDER BY region, channel

-- name: spending deciles
-- order: total
WITH spent AS (SELECT customer_id, sum(total_cents) AS cents FROM orders GROUP BY customer_id),
deciles AS (SELECT cents, ntile(10) OVER (ORDER BY cents, customer_id) AS decile FROM spent)
SELECT decile, count(*), min(cents), max(cents), sum(cents) FROM deciles GROUP BY decile ORDER BY decile

-- name: cumulative distribution of order totals
-- order: total
WITH totals AS (SELECT total_cents / 10000 AS hundred, count(*) AS orders FROM orders GROUP BY 1)
SELECT hundred, orders, round(1.0 * sum(orders) OVER (ORDER BY hundred) / sum(orders) OVER (), 4) AS share
FROM totals ORDER BY hundred

-- name: cohorts by month of the first order
-- order: total
WITH first_orders AS (SELECT customer_id, min(placed_at) AS first_at FROM orders GROUP BY customer_id),
activity AS (
  SELECT DISTINCT f.customer_id, substr(f.first_at, 1, 7) AS cohort,
    (substr(o.placed_at, 1, 4) - substr(f.first_at, 1, 4)) * 12 + substr(o.placed_at, 6, 2) - substr(f.first_at, 6, 2) AS age
  FROM first_orders f JOIN orders o ON o.customer_id = f.customer_id WHERE f.first_at < '2025-03-01'
)
SELECT cohort, age, count(*) AS customers FROM activity GROUP BY cohort, age ORDER BY cohort, age

-- name: cohorts by month of the registration
-- order: total
SELECT substr(c.created_at, 1, 7) AS cohort, count(DISTINCT c.id) AS customers, count(o.id) AS orders
FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.placed_at >= '2026-10-01'
WHERE c.created_at >= '2026-01-01' GROUP BY cohort ORDER BY cohort

-- name: customers who came back within 30 days
SELECT count(DISTINCT a.customer_id) FROM orders a JOIN orders b ON b.customer_id = a.customer_id AND b.id > a.id
WHERE a.placed_at >= '2026-02-01' AND a.placed_at < '2026-02-08'
  AND julianday(b.placed_at) - julianday(a.placed_at) <= 30

-- name: days between orders
WITH gaps AS (
  SELECT julianday(placed_at) - julianday(lag(placed_at) OVER (PARTITION BY customer_id ORDER BY placed_at, id)) AS days
  FROM orders WHERE customer_id <= 2000
)
SELECT count(days), round(avg(days), 2), round(max(days), 2) FROM gaps

-- name: customers without an order by NOT EXISTS
SELECT count(*) FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id)

-- name: customers without an order by LEFT JOIN
SELECT c.region, count(*) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE o.id IS NULL GROUP BY c.region

-- name: customers without an order by NOT IN
SELECT c.city, count(*) FROM customers c WHERE c.id NOT IN (SELECT customer_id FROM orders) GROUP BY c.city

-- name: customers by EXCEPT
SELECT count(*) FROM (SELECT customer_id FROM orders WHERE placed_at < '2026-01-01'
  EXCEPT SELECT customer_id FROM orders WHERE placed_at >= '2026-01-01')

-- name: buyers of two categories by INTERSECT
SELECT count(*) FROM (
  SELECT o.customer_id FROM orders o JOIN products p ON p.id = o.product_id WHERE p.category = 'garden' AND o.quantity = 5
  INTERSECT
  SELECT o.customer_id FROM orders o JOIN products p ON p.id = o.product_id WHERE p.category = 'toys' AND o.quantity = 5)

-- name: customers with an event but no order that month
SELECT count(DISTINCT e.customer_id) FROM events e
WHERE e.occurred_at >= '2026-08-01' AND e.occurred_at < '2026-09-01' AND e.customer_id IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = e.customer_id
    AND o.placed_at >= '2026-08-01' AND o.placed_at < '2026-09-01')

-- name: median order
SELECT avg(total_cents) FROM (SELECT total_cents FROM orders ORDER BY total_cents
  LIMIT 2 - (SELECT count(*) FROM orders) % 2 OFFSET (SELECT (count(*) - 1) / 2 FROM orders))

-- name: median by region, by hand
-- order: total
WITH numbered AS (
  SELECT region, total_cents, row_number() OVER (PARTITION BY region ORDER BY total_cents, id) AS n,
    count(*) OVER (PARTITION BY region) AS total
  FROM orders WHERE placed_at >= '2026-07-01' AND placed_at < '2026-08-01'
)
SELECT region, avg(total_cents) AS median FROM numbered WHERE n IN ((total + 1) / 2, (total + 2) / 2)
GROUP BY region ORDER BY region

-- name: percentiles by channel
WITH ranked AS (SELECT channel, total_cents, percent_rank() OVER (PARTITION BY channel ORDER BY total_cents) AS share
  FROM orders WHERE placed_at >= '2026-09-01')
SELECT channel, max(total_cents) FILTER (WHERE share <= 0.5) AS half, max(total_cents) FILTER (WHERE share <= 0.9) AS most
FROM ranked GROUP BY channel

-- name: products above the average of their category
-- order: total
SELECT p.sku, p.category, p.price_cents FROM products p
WHERE p.price_cents > (SELECT avg(q.price_cents) FROM products q WHERE q.category = p.category)
ORDER BY p.category, p.price_cents DESC, p.id LIMIT 200

-- name: orders above the average of their customer
SELECT count(*) FROM orders o WHERE o.placed_at >= '2026-12-01'
  AND o.total_cents > (SELECT avg(i.total_cents) FROM orders i WHERE i.customer_id = o.customer_id)

-- name: scalar subqueries in the output
SELECT (SELECT count(*) FROM customers) AS customers, (SELECT count(*) FROM orders) AS orders,
  (SELECT max(placed_at) FROM orders) AS latest, (SELECT count(*) FROM events WHERE kind = 'purchase') AS purchases

-- name: three figures of each of 100 customers
-- order: total
SELECT c.id, c.name,
  (SELECT count(*) FROM orders o WHERE o.customer_id = c.id) AS orders,
  (SELECT max(o.placed_at) FROM orders o WHERE o.customer_id = c.id) AS last_order,
  (SELECT count(*) FROM events e WHERE e.customer_id = c.id) AS events
FROM customers c WHERE c.created_at >= '2024-01-01' ORDER BY c.created_at, c.id LIMIT 100

-- name: chain of CTEs
-- order: total
WITH valid AS (SELECT * FROM orders WHERE status IN ('delivered', 'shipped') AND placed_at >= '2026-01-01'),
spent AS (SELECT customer_id, sum(total_cents) AS cents, count(*) AS n FROM valid GROUP BY customer_id),
loyal AS (SELECT * FROM spent WHERE n >= 5),
named AS (SELECT c.city, l.cents FROM loyal l JOIN customers c ON c.id = l.customer_id)
SELECT city, count(*) AS customers, sum(cents) AS cents FROM named GROUP BY city ORDER BY cents DESC, city

-- name: CTE used three times
WITH d AS (SELECT date(placed_at) AS day, sum(total_cents) AS revenue FROM orders
  WHERE placed_at >= '2026-01-01' GROUP BY 1)
SELECT (SELECT max(revenue) FROM d), (SELECT min(revenue) FROM d), (SELECT count(*) FROM d WHERE revenue > (SELECT avg(revenue) FROM d))

-- name: calendar of a month with empty days
-- order: total
WITH RECURSIVE days(day) AS (SELECT '2026-02-01' UNION ALL SELECT date(day, '+1 day') FROM days WHERE day < '2026-02-28')
SELECT d.day, count(w.id) AS opened FROM days d LEFT JOIN work_orders w
  ON w.opened_at >= d.day AND w.opened_at < date(d.day, '+1 day') AND w.kind = 'install'
GROUP BY d.day ORDER BY d.day

-- name: calendar by json_each
-- order: total
SELECT date('2026-04-01', '+' || d.value || ' days') AS day, count(o.id) AS orders, coalesce(sum(o.total_cents), 0) AS cents
FROM json_each('[0,1,2,3,4,5,6,7,8,9,10,11,12,13]') d
LEFT JOIN orders o ON o.placed_at >= date('2026-04-01', '+' || d.value || ' days')
  AND o.placed_at < date('2026-04-01', '+' || (d.value + 1) || ' days')
GROUP BY 1 ORDER BY 1

-- name: orders by weekday and hour
-- order: total
SELECT strftime('%w', placed_at) AS weekday, strftime('%H', placed_at) AS hour, count(*) FROM orders
WHERE placed_at >= '2026-01-01' AND placed_at < '2026-07-01' GROUP BY 1, 2 ORDER BY 1, 2

-- name: language of newsletter readers
-- order: total
SELECT json_extract(preferences, '$.language') AS language, count(*) FROM customers
WHERE preferences ->> 'newsletter' = 1 GROUP BY language ORDER BY language

-- name: topics of customers
-- order: total
SELECT t.value AS topic, count(DISTINCT c.id) AS customers FROM customers c, json_each(c.preferences, '$.topics') t
WHERE c.segment = 'trade' GROUP BY topic ORDER BY customers DESC, topic

-- name: slow pages by device
-- order: total
SELECT payload ->> '$.device' AS device, page, count(*) AS events, round(avg(payload ->> '$.ms'), 1) AS ms FROM events
WHERE occurred_at >= '2026-10-01' AND kind = 'view' GROUP BY device, page ORDER BY ms DESC, device, page LIMIT 30

-- name: orders of a region as JSON
SELECT json_group_array(json_object('id', id, 'cents', total_cents)) FROM (
  SELECT id, total_cents FROM orders WHERE region = 'north' ORDER BY id LIMIT 100)

-- name: pivot of status by month
-- order: total
SELECT substr(placed_at, 1, 7) AS month, count(*) FILTER (WHERE status = 'delivered') AS delivered,
  count(*) FILTER (WHERE status = 'returned') AS returned, sum(CASE WHEN status = 'cancelled' THEN 1 ELSE 0 END) AS cancelled
FROM orders GROUP BY month ORDER BY month

-- name: pivot of regions by category
-- order: total
SELECT p.category, sum(o.total_cents) FILTER (WHERE o.region = 'north') AS north,
  sum(o.total_cents) FILTER (WHERE o.region = 'east') AS east, sum(o.total_cents) FILTER (WHERE o.region = 'south') AS south
FROM orders o JOIN products p ON p.id = o.product_id WHERE o.placed_at >= '2026-01-01' GROUP BY p.category ORDER BY p.category

-- name: funnel of events
WITH v AS (SELECT customer_id, max(kind = 'view') AS viewed, max(kind = 'cart') AS carted, max(kind = 'purchase') AS bought
  FROM events WHERE customer_id IS NOT NULL GROUP BY customer_id)
SELECT sum(viewed), sum(viewed AND carted), sum(viewed AND carted AND bought) FROM v

-- name: sessions by gap
WITH e AS (SELECT customer_id, occurred_at,
  lag(occurred_at) OVER (PARTITION BY customer_id ORDER BY occurred_at, id) AS previous FROM events WHERE customer_id IS NOT NULL)
SELECT count(*) AS events, sum(previous IS NULL OR julianday(occurred_at) - julianday(previous) > 60) AS sessions FROM e

-- name: last event before each order
SELECT count(*), count(kind) FROM (
  SELECT o.id, (SELECT e.kind FROM events e WHERE e.customer_id = o.customer_id AND e.occurred_at <= o.placed_at
    ORDER BY e.occurred_at DESC, e.id DESC LIMIT 1) AS kind
  FROM orders o WHERE o.placed_at >= '2026-12-20' AND o.placed_at < '2026-12-25')

-- name: technicians of the same branch
SELECT a.branch_id, count(*) FROM (SELECT DISTINCT branch_id, technician_id FROM work_orders) a
JOIN (SELECT DISTINCT branch_id, technician_id FROM work_orders) b
  ON b.branch_id = a.branch_id AND b.technician_id > a.technician_id GROUP BY a.branch_id

-- name: overlapping work orders of a technician
SELECT count(*) FROM work_orders a JOIN work_orders b
  ON b.technician_id = a.technician_id AND b.id > a.id AND b.opened_at < a.closed_at

-- name: work orders of customers with returns
SELECT w.kind, count(*), round(avg(w.minutes), 1) FROM work_orders w
WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = w.customer_id AND o.status = 'returned') GROUP BY w.kind

-- name: pairs of products bought on one day
-- order: total
SELECT a.product_id, b.product_id AS other, count(*) AS n FROM orders a
JOIN orders b ON b.customer_id = a.customer_id AND b.product_id > a.product_id AND date(b.placed_at) = date(a.placed_at)
WHERE a.placed_at >= '2026-12-20' AND a.placed_at < '2026-12-24'
GROUP BY a.product_id, b.product_id ORDER BY n DESC, a.product_id, other LIMIT 20

-- name: full join of two years
SELECT count(*), sum(a.cents), sum(b.cents), sum(a.cents IS NULL), sum(b.cents IS NULL)
FROM (SELECT product_id, sum(total_cents) AS cents FROM orders
  WHERE placed_at BETWEEN '2025-03-01' AND '2025-04-01' GROUP BY 1) a
FULL OUTER JOIN (SELECT product_id, sum(total_cents) AS cents FROM orders
  WHERE placed_at BETWEEN '2026-03-01' AND '2026-04-01' GROUP BY 1) b
  ON b.product_id = a.product_id

-- name: full join of months
-- order: total
WITH a AS (SELECT substr(placed_at, 6, 2) AS month, count(*) AS n FROM orders WHERE placed_at < '2026-01-01' GROUP BY 1),
b AS (SELECT substr(placed_at, 6, 2) AS month, count(*) AS n FROM orders WHERE placed_at >= '2026-05-01' GROUP BY 1)
SELECT coalesce(a.month, b.month) AS month, a.n, b.n AS later FROM a FULL OUTER JOIN b ON b.month = a.month ORDER BY 1

-- name: every category in every region
-- order: total
WITH sold AS (SELECT p.category, o.region, count(*) AS orders FROM orders o JOIN products p ON p.id = o.product_id
  WHERE o.placed_at >= '2026-12-01' AND o.placed_at < '2027-01-01' GROUP BY p.category, o.region)
SELECT c.category, r.region, coalesce(s.orders, 0) AS orders
FROM (SELECT DISTINCT category FROM products) c CROSS JOIN (SELECT DISTINCT region FROM customers) r
LEFT JOIN sold s ON s.category = c.category AND s.region = r.region ORDER BY c.category, r.region

-- name: price bands by VALUES
-- order: total
WITH bands(name, low, high) AS (VALUES ('small', 0, 20000), ('medium', 20000, 60000), ('large', 60000, 1000000))
SELECT b.name, count(*) AS orders, sum(o.total_cents) AS cents FROM bands b JOIN orders o
  ON o.total_cents >= b.low AND o.total_cents < b.high WHERE o.placed_at >= '2026-10-01' GROUP BY b.name ORDER BY b.name

-- name: union of three activities
-- order: total
SELECT kind, count(*) FROM (
  SELECT 'order' AS kind, customer_id FROM orders WHERE placed_at >= '2026-12-01'
  UNION ALL SELECT 'event', customer_id FROM events WHERE occurred_at >= '2026-12-01'
  UNION ALL SELECT 'work', customer_id FROM work_orders WHERE opened_at >= '2026-12-01') GROUP BY kind ORDER BY kind

-- name: search by name and city
-- order: total
SELECT id, name, city FROM customers WHERE name LIKE '%keller%' AND city IN ('Arden', 'Glen') ORDER BY name, id LIMIT 100

-- name: customers by domain of their address
-- order: total
SELECT substr(email, instr(email, '@') + 1) AS domain, count(*) AS customers FROM customers
WHERE email IS NOT NULL GROUP BY domain ORDER BY customers DESC, domain LIMIT 20

-- name: customers by decade of birth
-- order: total
SELECT substr(birth_date, 1, 3) || '0s' AS decade, count(*), count(DISTINCT city) FROM customers GROUP BY decade ORDER BY decade

-- name: pages like a pattern
SELECT page, count(*) FROM events WHERE page LIKE '/garden/%' AND kind IN ('cart', 'checkout') GROUP BY page

-- name: shipping cost by status
-- order: total
SELECT status, count(*), sum(shipping_cents), min(shipping_cents), max(shipping_cents) FROM orders GROUP BY status ORDER BY status

-- name: deliveries by month
-- order: total
SELECT substr(delivered_at, 1, 7) AS month, count(*) FROM orders WHERE delivered_at >= '2026-01-01' GROUP BY month ORDER BY month

-- name: minutes by technician, ranked
-- order: total
SELECT technician_id, minutes, rank() OVER (ORDER BY minutes DESC) AS place FROM (
  SELECT technician_id, sum(minutes) AS minutes FROM work_orders GROUP BY technician_id) ORDER BY place, technician_id LIMIT 50

-- name: contact list of a city
-- order: total
SELECT id, name, email, phone, birth_date FROM customers WHERE city = 'Fairview' AND segment = 'trade' ORDER BY id LIMIT 500

-- name: concatenated sizes of orders
SELECT status, group_concat(DISTINCT quantity ORDER BY quantity) FROM orders
WHERE placed_at >= '2026-11-01' GROUP BY status HAVING count(*) > 1
