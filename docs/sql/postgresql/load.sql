-- With psql, in the folder of the two files. A bad row ends it: `python -m app articles --debug` names the bad rows.
\copy clickstream FROM 'clickstream.csv' CSV HEADER
\copy articles FROM 'articles.csv' CSV HEADER
