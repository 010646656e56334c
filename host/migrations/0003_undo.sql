-- No column changes. Runs may be of the kind 'undo' and have the status 'stranded' from here on: a program that knows neither must not
-- take this database.
SELECT 1;
