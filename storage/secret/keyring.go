package secret

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/postern-im/postern/storage"
)

const (
	maxFile = 64 << 10
	keyLine = "id:base64 of 32 bytes"
)

var idPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// ErrNoKeys is that there is no key at all.
var ErrNoKeys = errors.New("secret: there is no key: make one, and keep it apart from the database")

// KeysError is a line that is no key. The text names the line and never quotes it.
type KeysError struct {
	File string // "" if the keys came from elsewhere
	Line int    // 0 if it is the file itself
	Why  string
}

// Error says where and what.
func (e *KeysError) Error() string {
	where := "keys"
	if e.File != "" {
		where = e.File
	}
	if e.Line > 0 {
		where = fmt.Sprintf("%s: line %d", where, e.Line)
	}
	return "secret: " + where + ": " + e.Why
}

// Keyring is the key that seals, and those that open what was sealed before. It is for many goroutines at once.
type Keyring struct {
	current string
	keys    map[string]*key
}

type key struct {
	aead cipher.AEAD
	mark [markSize]byte // of the key: tells it from another one with the same id
}

// Parse reads keys, as the package documents them. An error is a [KeysError] or ErrNoKeys.
func Parse(text string) (*Keyring, error) { return parse("", text) }

func parse(file, text string) (*Keyring, error) {
	k := &Keyring{keys: make(map[string]*key)}
	ids := make(map[[markSize]byte]string)
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, one, why := parseLine(line)
		switch {
		case why != "":
		case k.keys[id] != nil:
			why = fmt.Sprintf("there is another key %q before it", id)
		case ids[one.mark] != "":
			why = fmt.Sprintf("it is the same key as %q", ids[one.mark])
		}
		if why != "" {
			return nil, &KeysError{File: file, Line: i + 1, Why: why}
		}
		if k.current == "" {
			k.current = id
		}
		k.keys[id], ids[one.mark] = one, id
	}
	if k.current == "" {
		return nil, ErrNoKeys
	}
	return k, nil
}

// parseLine reads one key, or says why it is none.
func parseLine(line string) (id string, k *key, why string) {
	id, text, found := strings.Cut(line, ":")
	if !found {
		return "", nil, "it is not " + keyLine
	}
	if !idPattern.MatchString(id) {
		return "", nil, "the id is not 1 to 64 of A-Z, a-z, 0-9, dot, hyphen and underscore"
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return "", nil, "what follows the id is no base64"
	}
	if len(raw) != chacha20poly1305.KeySize {
		return "", nil, fmt.Sprintf("the key has %d bytes instead of %d", len(raw), chacha20poly1305.KeySize)
	}
	if strings.Count(string(raw), string(raw[:1])) == len(raw) {
		return "", nil, "the key is one byte again and again: make one at random"
	}
	aead, err := chacha20poly1305.NewX(raw)
	if err != nil {
		return "", nil, "it is no key"
	}
	k = &key{aead: aead}
	sum := sha256.Sum256(append([]byte("postern: mark of a key\x00"), raw...))
	copy(k.mark[:], sum[:])
	return id, k, ""
}

// Load reads keys from a file. Nobody but its owner may be allowed to read or write it. Errors are those of Parse and of the file.
func Load(path string) (*Keyring, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, &KeysError{File: path, Why: "it is no file"}
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 { // guard: SEC-77
		return nil, &KeysError{File: path, Why: fmt.Sprintf("others than its owner may use it (mode %04o): chmod 600", mode)}
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	if len(text) > maxFile {
		return nil, &KeysError{File: path, Why: fmt.Sprintf("it has more than %d bytes", maxFile)}
	}
	return parse(path, string(text))
}

// GenerateKey returns a new key, as a line for [Load] and [Parse].
func GenerateKey(id string) (string, error) {
	if !idPattern.MatchString(id) {
		return "", fmt.Errorf("%w: the key's id is not 1 to 64 of A-Z, a-z, 0-9, dot, hyphen and underscore", storage.ErrInvalid)
	}
	raw := make([]byte, chacha20poly1305.KeySize)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("secret: %w", err)
	}
	return id + ":" + base64.StdEncoding.EncodeToString(raw), nil
}

// Current returns the id of the key that seals.
func (k *Keyring) Current() string { return k.current }

// Has reports whether there is a key with this id.
func (k *Keyring) Has(id string) bool { return k.keys[id] != nil }

// String tells the id of the key that seals and how many there are.
func (k *Keyring) String() string { return fmt.Sprintf("keyring(%s, %d keys)", k.current, len(k.keys)) }

// GoString implements fmt.GoStringer.
func (k *Keyring) GoString() string { return k.String() }

// Format implements fmt.Formatter, so that no verb prints the keys.
func (k *Keyring) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, k.String())
}
