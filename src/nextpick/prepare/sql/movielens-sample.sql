-- MovieLens ratings.csv and movies.csv: a sample of the ratings, joined with the movies, each event once
-- option fraction = 0.05 : the share of the ratings that is taken, without replacement
-- option seed = 0 : the sample is the same for the same seed
CREATE TEMP VIEW joined AS
SELECT ratings.movieId, ratings.userId, ratings.timestamp, movies.title, movies.genres
FROM read_csv(
    getvariable('source') || '/ratings.csv', header = true,
    columns = {'userId': 'VARCHAR', 'movieId': 'VARCHAR', 'rating': 'DOUBLE', 'timestamp': 'BIGINT'}
) AS ratings
JOIN read_csv(
    getvariable('source') || '/movies.csv', header = true,
    columns = {'movieId': 'VARCHAR', 'title': 'VARCHAR', 'genres': 'VARCHAR'}
) AS movies USING (movieId)
WHERE hash(ratings.userId, ratings.movieId, ratings.timestamp, getvariable('seed')) % 1000000
    < getvariable('fraction')::DOUBLE * 1000000;

CREATE VIEW interactions AS
SELECT DISTINCT movieId AS ITEM_ID, userId AS USER_ID, timestamp AS TIMESTAMP
FROM joined
ORDER BY USER_ID, TIMESTAMP, ITEM_ID;

CREATE VIEW metadata AS
SELECT DISTINCT title AS TITLE, genres AS GENRES, movieId AS ITEM_ID
FROM joined
ORDER BY ITEM_ID;
