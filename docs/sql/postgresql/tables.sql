-- A clickstream and its articles. Texts are compared and ordered byte by byte, as `python -m app articles` does.
CREATE TABLE clickstream (
    user_id text COLLATE "C" NOT NULL CHECK (user_id <> ''),
    time timestamp NOT NULL,
    action text COLLATE "C" NOT NULL,
    object_id text COLLATE "C"
);
CREATE INDEX clickstream_time ON clickstream (time);
CREATE TABLE articles (
    id text COLLATE "C" PRIMARY KEY,
    title text NOT NULL
);
