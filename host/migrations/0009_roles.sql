-- Names of the roles that a user was granted, a JSON list. Everybody is a customer, so nobody has lost anything.
ALTER TABLE users ADD COLUMN roles TEXT NOT NULL DEFAULT '[]';
