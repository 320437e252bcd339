// Package streammgmt counts and keeps what stream management needs (XEP-0198 v1.6.3), without XML and without I/O.
package streammgmt
