// Package sqlite keeps everything of package storage in one SQLite file: the database of a small gateway, and of the demo. It
// needs no server and no C compiler.
//
// # How it works
//
// All writes go through one connection, one transaction after the other (BEGIN IMMEDIATE), so no two are ever in each other's way.
// Reads outside transactions have connections of their own and never wait for a write (WAL). When a write has returned nil it is
// on the disk (synchronous=FULL). Times are the clock of the process.
//
// The file is one process' to serve. Another may open it meanwhile, such as a command that lists dead letters: writes wait for one
// another across processes too, and [Options.Poll] says how soon a store learns of messages that another one has put.
//
// The file must lie on a local disk. Copy it with SQLite's own means (sqlite3 file ".backup copy"), never with cp while the gateway
// runs: what was written last is in the file beside it that ends in -wal.
package sqlite
