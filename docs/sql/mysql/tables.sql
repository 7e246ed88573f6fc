-- A clickstream and its articles. Texts are compared and ordered byte by byte, as `python -m app articles` does.
CREATE TABLE clickstream (
    user_id varchar(255) NOT NULL CHECK (user_id <> ''),
    time datetime(6) NOT NULL,
    action varchar(255) NOT NULL,
    object_id varchar(255),
    INDEX clickstream_time (time)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE articles (
    id varchar(255) PRIMARY KEY,
    title text NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
