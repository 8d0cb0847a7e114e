-- MovieLens 100K as GroupLens ships it: u.data, u.item, u.user, u.genre
-- option event_type = Watch : the EVENT_TYPE of every rating
-- option min_rating = 0 : ratings below it are left out
CREATE VIEW interactions AS
SELECT USER_ID, ITEM_ID, getvariable('event_type') AS EVENT_TYPE, TIMESTAMP
FROM read_csv(
    getvariable('source') || '/u.data', delim = '\t', header = false,
    columns = {'USER_ID': 'VARCHAR', 'ITEM_ID': 'VARCHAR', 'RATING': 'INTEGER', 'TIMESTAMP': 'BIGINT'}
)
WHERE RATING >= getvariable('min_rating')::DOUBLE;

CREATE TABLE films AS
SELECT
    columns[1] AS ITEM_ID,
    columns[2] AS TITLE,
    columns[6:] AS flags,
    try_cast(regexp_extract(columns[2], '\((\d{4})\)\s*$', 1) AS INTEGER) AS YEAR
FROM (
    SELECT string_split(line, '|') AS columns
    FROM read_csv(
        getvariable('source') || '/u.item', delim = '\x01', header = false, encoding = 'latin-1', quote = '',
        columns = {'line': 'VARCHAR'}
    )
);

CREATE TABLE genres AS
SELECT string_split(line, '|')[1] AS name, string_split(line, '|')[2]::INTEGER + 1 AS place
FROM read_csv(
    getvariable('source') || '/u.genre', delim = '\x01', header = false, quote = '', columns = {'line': 'VARCHAR'}
)
WHERE line <> '';

CREATE VIEW items AS
SELECT
    ITEM_ID,
    TITLE,
    (SELECT string_agg(name, '|' ORDER BY place) FROM genres WHERE films.flags[place] = '1') AS GENRE,
    YEAR
FROM films
ORDER BY ITEM_ID::INTEGER;

CREATE VIEW users AS
SELECT USER_ID, AGE, GENDER, OCCUPATION
FROM read_csv(
    getvariable('source') || '/u.user', delim = '|', header = false,
    columns = {
        'USER_ID': 'VARCHAR', 'AGE': 'INTEGER', 'GENDER': 'VARCHAR', 'OCCUPATION': 'VARCHAR', 'ZIP': 'VARCHAR'
    }
);
