package jid_test

import (
	"database/sql"
	"database/sql/driver"
	"encoding"
	"encoding/json"
	"encoding/xml"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/postern-im/postern/jid"
)

var (
	_ encoding.TextMarshaler   = jid.JID{}
	_ encoding.TextAppender    = jid.JID{}
	_ encoding.TextUnmarshaler = (*jid.JID)(nil)
	_ driver.Valuer            = jid.JID{}
	_ sql.Scanner              = (*jid.JID)(nil)
)

func TestText(t *testing.T) {
	for _, c := range []struct{ name, in string }{
		{"zero value", ""},
		{"full", "a@example.com/r"},
		{"malformed as routed", "henryⅣ@Example.com/ x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var j jid.JID
			if err := j.UnmarshalText([]byte(c.in)); err != nil {
				t.Fatal(err)
			}
			if out, err := j.MarshalText(); err != nil || string(out) != c.in || out == nil {
				t.Errorf("MarshalText = %q, %v", out, err)
			}
			if out, err := j.AppendText([]byte(">")); err != nil || string(out) != ">"+c.in {
				t.Errorf("AppendText = %q, %v", out, err)
			}
		})
	}
	j := jid.MustParse("a@b")
	if err := j.UnmarshalText([]byte("@")); err == nil || j != jid.MustParse("a@b") {
		t.Errorf("UnmarshalText of no address: %v, %v", j, err)
	}
}

func TestXMLAttribute(t *testing.T) {
	type item struct {
		XMLName xml.Name `xml:"item"`
		JID     jid.JID  `xml:"jid,attr"`
		Value   jid.JID  `xml:"value"`
	}
	const text = `<item jid="a@b/&amp;&lt;&#34;&#xA;x"><value>c</value></item>`
	var it item
	if err := xml.Unmarshal([]byte(text), &it); err != nil {
		t.Fatal(err)
	}
	if it.JID.Resource() != "&<\"\nx" || it.Value != jid.MustParse("c") {
		t.Errorf("read %q, %q", it.JID, it.Value)
	}
	if out, err := xml.Marshal(it); err != nil || string(out) != text {
		t.Errorf("wrote %s, %v", out, err)
	}
}

func TestJSON(t *testing.T) {
	type doc struct {
		JID  jid.JID         `json:"jid"`
		None jid.JID         `json:"none,omitzero"`
		Map  map[jid.JID]int `json:"map"`
	}
	const text = `{"jid":"a@b/c","map":{"d@e":1}}`
	var d doc
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	if out, err := json.Marshal(d); err != nil || string(out) != text {
		t.Errorf("wrote %s, %v", out, err)
	}
}

// Configuration must not accept what only ever comes from a server.
func TestStrict(t *testing.T) {
	type config struct {
		Domain jid.Strict   `yaml:"domain"`
		Admins []jid.Strict `yaml:"admins"`
		None   jid.Strict   `yaml:"none"`
	}
	var c config
	if err := yaml.Unmarshal([]byte("domain: Gateway.Example.com.\nadmins: [A@example.com]\nnone: ''\n"), &c); err != nil {
		t.Fatal(err)
	}
	if c.Domain.JID != jid.MustParse("gateway.example.com") || c.Admins[0].JID != jid.MustParse("a@example.com") || !c.None.IsZero() {
		t.Errorf("read %v", c)
	}
	for _, bad := range []string{"my_host", "'henryⅣ@example.com'", "'a@b/ x'", "'@'"} {
		if err := yaml.Unmarshal([]byte("domain: "+bad), &c); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

func TestSQL(t *testing.T) {
	for _, c := range []struct {
		name string
		src  any
		want string
		ok   bool
	}{
		{"null", nil, "", true},
		{"empty", "", "", true},
		{"string", "a@b/c", "a@b/c", true},
		{"bytes", []byte("a@b/c"), "a@b/c", true},
		{"malformed as routed", "henryⅣ@b", "henryⅣ@b", true},
		{"no address", "@", "old@b", false},
		{"other type", 1, "old@b", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := jid.MustParse("old@b")
			if err := j.Scan(c.src); (err == nil) != c.ok || j.String() != c.want {
				t.Fatalf("Scan(%v) = %q, %v", c.src, j, err)
			}
			v, err := j.Value()
			if err != nil || (v == nil) != j.IsZero() || v != nil && v != j.String() {
				t.Errorf("Value = %v, %v", v, err)
			}
		})
	}
	// The driver may use its buffer again.
	b := []byte("a@b/c")
	var j jid.JID
	if err := j.Scan(b); err != nil {
		t.Fatal(err)
	}
	b[0] = 'x'
	if j.Local() != "a" {
		t.Error("Scan keeps the driver's buffer")
	}
}
