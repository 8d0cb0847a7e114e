-- MovieLens ratings.csv as two kinds of events: above 3 a watch, above 1 a click, one rating may be both
-- option watch_above = 3 : ratings above it are watches
-- option click_above = 1 : ratings above it are clicks
CREATE TEMP VIEW ratings AS
SELECT * FROM read_csv(
    getvariable('source') || '/ratings.csv', header = true,
    columns = {'userId': 'VARCHAR', 'movieId': 'VARCHAR', 'rating': 'DOUBLE', 'timestamp': 'BIGINT'}
);

CREATE VIEW interactions AS
SELECT USER_ID, ITEM_ID, TIMESTAMP, EVENT_TYPE FROM (
    SELECT userId AS USER_ID, movieId AS ITEM_ID, timestamp AS TIMESTAMP, 'watch' AS EVENT_TYPE
    FROM ratings WHERE rating > getvariable('watch_above')::DOUBLE
    UNION ALL
    SELECT userId, movieId, timestamp, 'click' FROM ratings WHERE rating > getvariable('click_above')::DOUBLE
)
ORDER BY TIMESTAMP, USER_ID, ITEM_ID, EVENT_TYPE;

CREATE VIEW items AS
SELECT movieId AS ITEM_ID, genres AS GENRE, regexp_extract(title, '\(([^()]*)\)[^()]*$', 1) AS YEAR
FROM read_csv(
    getvariable('source') || '/movies.csv', header = true,
    columns = {'movieId': 'VARCHAR', 'title': 'VARCHAR', 'genres': 'VARCHAR'}
);
