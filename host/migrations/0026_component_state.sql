-- What components keep of their own (the import kv of millrace:step 0.2): about an instance, which it goes with, and about none.
CREATE TABLE instance_state (
    resource  INTEGER NOT NULL,
    -- Name of the component's module.
    component TEXT NOT NULL,
    key       TEXT NOT NULL,
    value     TEXT NOT NULL,
    PRIMARY KEY (resource, component, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE component_state (
    component TEXT NOT NULL,
    key       TEXT NOT NULL,
    value     TEXT NOT NULL,
    PRIMARY KEY (component, key)
) STRICT, WITHOUT ROWID;
