-- The usage read model's series: what became of a key's secret on each day (UTC).
CREATE TABLE keyledger.key_usage_days (
    id uuid NOT NULL,
    day date NOT NULL,
    uses bigint NOT NULL,
    refused bigint NOT NULL,
    PRIMARY KEY (id, day)
)
