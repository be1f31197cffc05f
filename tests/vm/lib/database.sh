# shellcheck shell=bash
# A database under load whose damage can be seen; sourced after tests/vm/lib/blkfilter.sh.

# make_database FILE: 100 accounts of which each transaction moves money between two.
make_database() {
    sqlite3 "$1" > /dev/null << 'END'
PRAGMA journal_mode = WAL;
CREATE TABLE account (id INTEGER PRIMARY KEY, money INTEGER NOT NULL, note BLOB);
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
    INSERT INTO account SELECT i, 1000, randomblob(2000) FROM n;
END
}

# load_database FILE: in the background until $FILE.stop exists; $database_load is its process.
load_database() {
    rm -f "$1.stop"
    (while [ ! -e "$1.stop" ]; do
        for ((i = 0; i < 20; i++)); do
            a=$((RANDOM % 100 + 1)) b=$((RANDOM % 100 + 1))
            echo "BEGIN; UPDATE account SET money = money - 7, note = randomblob(2000) WHERE id = $a;
                  UPDATE account SET money = money + 7 WHERE id = $b; COMMIT;"
        done | sqlite3 -cmd '.timeout 10000' "$1"
    done) &
    database_load=$!
}

end_database_load() { # FILE
    touch "$1.stop"
    wait "$database_load" || true
}

# check_database FILE: whole, and no money is lost. The file and its log are copied first, as a check writes to both.
check_database() {
    local copy=/tmp/check-database
    rm -rf $copy
    mkdir $copy
    cp "$1" $copy/db
    [ ! -e "$1-wal" ] || cp "$1-wal" $copy/db-wal
    [ "$(sqlite3 $copy/db 'PRAGMA integrity_check; SELECT sum(money) FROM account;' | tr '\n' ' ')" = "ok 100000 " ] ||
        fail "$1 is damaged: $(sqlite3 $copy/db 'PRAGMA integrity_check; SELECT sum(money) FROM account;')"
    rm -r $copy
}
