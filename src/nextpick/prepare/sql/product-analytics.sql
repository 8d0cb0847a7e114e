-- Exports of product analytics (Mixpanel and its like): JSON lines in folders by date, one event each
-- option user = distinct_id : the property that names the user
-- option item = item_id : the property that names the item
-- option time = time : the property with the time, in seconds or milliseconds since 1970
-- option events = : which events are interactions, by comma; all that name an item if empty
-- option value = : the property that is the EVENT_VALUE; none if empty
CREATE MACRO property(name) AS json_extract_string(
    properties, '/' || replace(replace(getvariable(name), '~', '~0'), '/', '~1')
);

CREATE TEMP VIEW raw AS
SELECT
    event,
    property('user') AS user_id,
    property('item') AS item_id,
    try_cast(property('time') AS DOUBLE) AS seconds,
    try_cast(property('value') AS DOUBLE) AS amount
FROM read_json(
    getvariable('source') || '/**/*.json*', format = 'newline_delimited',
    columns = {'event': 'VARCHAR', 'properties': 'JSON'}
);

CREATE VIEW interactions AS
SELECT
    user_id AS USER_ID,
    item_id AS ITEM_ID,
    event AS EVENT_TYPE,
    amount AS EVENT_VALUE,
    floor(CASE WHEN seconds >= 1e11 THEN seconds / 1000 ELSE seconds END)::BIGINT AS TIMESTAMP
FROM raw
WHERE user_id <> '' AND item_id <> '' AND seconds IS NOT NULL
    AND (getvariable('events') = '' OR list_contains(string_split(getvariable('events'), ','), event))
ORDER BY TIMESTAMP, USER_ID, ITEM_ID;
