// Package xmlstream holds what both kinds of streams share: headers, the writer that gathers what is sent into few writes, the reading,
// answers to requests, signs of life, waits between tries (RFC 6120 section 4).
package xmlstream
