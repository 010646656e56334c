-- Of how users.email_key is made; 0 is the e-mail in lower case. The program makes the keys anew when it knows a later one.
ALTER TABLE process ADD COLUMN email_keys INTEGER NOT NULL DEFAULT 0;
