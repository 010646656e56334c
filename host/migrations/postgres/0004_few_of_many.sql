-- What is asked for of few among many: without these all of them are read.
CREATE INDEX reservations_held ON reservations (key) WHERE status = 'reserved';
CREATE INDEX users_with_roles ON users (id) WHERE roles <> '{}';
