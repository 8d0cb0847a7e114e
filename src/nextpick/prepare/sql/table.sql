-- A CSV or Parquet file of events with other column names
-- option file = : its name; every CSV file in the source if empty
-- option user = user_id : the column that names the user
-- option item = item_id : the column that names the item
-- option time = timestamp : the column with the time: seconds, milliseconds, or a date; none given: the order of the rows, a minute apart
-- option event_type = : the column with the kind of event; none if empty
-- option value = : the column with the value, a rating say; none if empty
CREATE TEMP VIEW raw AS
SELECT to_json(rows) AS cells, row_number() OVER () AS place
FROM read_csv(
    getvariable('source') || '/' || coalesce(nullif(getvariable('file'), ''), '*.csv'),
    header = true, all_varchar = true
) AS rows;

CREATE MACRO cell(cells, name) AS json_extract_string(cells, '/' || replace(replace(name, '~', '~0'), '/', '~1'));

CREATE MACRO seconds(text) AS CASE
    WHEN try_cast(text AS DOUBLE) >= 1e11 THEN floor(try_cast(text AS DOUBLE) / 1000)::BIGINT
    WHEN try_cast(text AS DOUBLE) IS NOT NULL THEN floor(try_cast(text AS DOUBLE))::BIGINT
    ELSE epoch(try_cast(text AS TIMESTAMP))::BIGINT
END;

CREATE VIEW interactions AS
SELECT
    cell(cells, getvariable('user')) AS USER_ID,
    cell(cells, getvariable('item')) AS ITEM_ID,
    cell(cells, getvariable('event_type')) AS EVENT_TYPE,
    try_cast(cell(cells, getvariable('value')) AS DOUBLE) AS EVENT_VALUE,
    coalesce(seconds(cell(cells, getvariable('time'))), 1500000000 + 60 * place)::BIGINT AS TIMESTAMP
FROM raw
WHERE cell(cells, getvariable('user')) <> '' AND cell(cells, getvariable('item')) <> '';
