// Package secret keeps the secrets of users, such as their passwords on a foreign network (XEP-0100 section 8.2), so that whoever
// has the database alone has none of them.
//
// A [Vault] seals each with XChaCha20-Poly1305 under a key that is not in the database, bound to the user and to the secret's name: in
// another row it does not open. Storage sees storage.Sealed only. What is open is a [Secret], which prints as "[secret]".
//
// # Keys
//
// Keys come from a file that its owner alone may read ([Load]), or from an environment variable ([Parse]). Each line is a key, an id
// and 32 bytes in base64:
//
//	# made on 2026-05-01
//	k2:SnVzdCAzMiBieXRlcyB0aGF0IGFyZSBubyBzZWNyZXQ=
//	k1:VGhpcnR5LXR3byBieXRlcyBmcm9tIGEgbG9uZyBhZ28=
//
// The first seals; all open. To change the key put a new line ([GenerateKey]) first, start every process with it, call
// [Vault.Reseal], and then take the old line away. Who loses the keys loses the secrets: keep a copy apart from the database's.
package secret
