-- MovieLens 25M, 20M, latest and latest-small: ratings.csv, movies.csv
-- option event_type = Watch : the EVENT_TYPE of every rating
-- option min_rating = 0 : ratings below it are left out
CREATE VIEW interactions AS
SELECT userId AS USER_ID, movieId AS ITEM_ID, getvariable('event_type') AS EVENT_TYPE, timestamp AS TIMESTAMP
FROM read_csv(
    getvariable('source') || '/ratings.csv', header = true,
    columns = {'userId': 'VARCHAR', 'movieId': 'VARCHAR', 'rating': 'DOUBLE', 'timestamp': 'BIGINT'}
)
WHERE rating >= getvariable('min_rating')::DOUBLE;

CREATE VIEW items AS
SELECT
    movieId AS ITEM_ID, title AS TITLE, genres AS GENRE,
    try_cast(regexp_extract(title, '\((\d{4})\)[^()]*$', 1) AS INTEGER) AS YEAR
FROM read_csv(
    getvariable('source') || '/movies.csv', header = true,
    columns = {'movieId': 'VARCHAR', 'title': 'VARCHAR', 'genres': 'VARCHAR'}
);
