-- MovieLens 1M as GroupLens ships it: ratings.dat, movies.dat, users.dat
-- option event_type = Watch : the EVENT_TYPE of every rating
-- option min_rating = 0 : ratings below it are left out
CREATE MACRO parts(file) AS TABLE
SELECT string_split(line, '::') AS columns
FROM read_csv(
    getvariable('source') || '/' || file, delim = '\x01', header = false, encoding = 'latin-1', quote = '',
    columns = {'line': 'VARCHAR'}
);

CREATE VIEW interactions AS
SELECT
    columns[1] AS USER_ID, columns[2] AS ITEM_ID, getvariable('event_type') AS EVENT_TYPE,
    columns[4]::BIGINT AS TIMESTAMP
FROM parts('ratings.dat')
WHERE columns[3]::DOUBLE >= getvariable('min_rating')::DOUBLE;

CREATE VIEW items AS
SELECT
    columns[1] AS ITEM_ID, columns[2] AS TITLE, columns[3] AS GENRE,
    try_cast(regexp_extract(columns[2], '\((\d{4})\)\s*$', 1) AS INTEGER) AS YEAR
FROM parts('movies.dat');

CREATE VIEW users AS
SELECT columns[1] AS USER_ID, columns[2] AS GENDER, columns[3]::INTEGER AS AGE, columns[4] AS OCCUPATION
FROM parts('users.dat');
