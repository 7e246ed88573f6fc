-- With `mysql --local-infile=1`, in the folder of the two files. A bad row ends it: `python -m app articles --debug` names the bad rows.
SET SESSION sql_mode = 'STRICT_ALL_TABLES';
LOAD DATA LOCAL INFILE 'clickstream.csv' INTO TABLE clickstream CHARACTER SET utf8mb4
    FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '"' ESCAPED BY '' LINES TERMINATED BY '\n' IGNORE 1 LINES
    (user_id, time, action, object_id);
LOAD DATA LOCAL INFILE 'articles.csv' INTO TABLE articles CHARACTER SET utf8mb4
    FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '"' ESCAPED BY '' LINES TERMINATED BY '\n' IGNORE 1 LINES
    (id, title);
