package stanza_test

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// The examples of RFC 6120, one line per condition, in its order; line breaks inside an example are taken out.
var (
	//go:embed testdata/rfc6120-8.3.3.txt
	stanzaErrors string
	//go:embed testdata/rfc6120-4.9.3.txt
	streamErrors string
)

// TestStanzaErrorsOfRFC6120 reads the example of each condition of section 8.3.3 and holds the condition and its type.
func TestStanzaErrorsOfRFC6120(t *testing.T) {
	want := []struct {
		cond stanza.Condition
		typ  stanza.ErrorType // the first that the text of section 8.3.3 names
		app  string           // the application-specific condition in the example
	}{
		{stanza.BadRequest, stanza.ErrorModify, ""},
		{stanza.Conflict, stanza.ErrorCancel, ""},
		{stanza.FeatureNotImplemented, stanza.ErrorCancel, "unsupported"},
		{stanza.Forbidden, stanza.ErrorAuth, ""},
		{stanza.Gone, stanza.ErrorCancel, ""},
		{stanza.InternalServerError, stanza.ErrorCancel, ""},
		{stanza.ItemNotFound, stanza.ErrorCancel, ""},
		{stanza.JIDMalformed, stanza.ErrorModify, ""},
		{stanza.NotAcceptable, stanza.ErrorModify, ""},
		{stanza.NotAllowed, stanza.ErrorCancel, ""},
		{stanza.NotAuthorized, stanza.ErrorAuth, ""},
		{stanza.PolicyViolation, stanza.ErrorModify, ""},
		{stanza.RecipientUnavailable, stanza.ErrorWait, ""},
		{stanza.Redirect, stanza.ErrorModify, ""},
		{stanza.RegistrationRequired, stanza.ErrorAuth, ""},
		{stanza.RemoteServerNotFound, stanza.ErrorCancel, ""},
		{stanza.RemoteServerTimeout, stanza.ErrorWait, ""},
		{stanza.ResourceConstraint, stanza.ErrorWait, ""},
		{stanza.ServiceUnavailable, stanza.ErrorCancel, ""},
		{stanza.SubscriptionRequired, stanza.ErrorAuth, ""},
		{stanza.UndefinedCondition, stanza.ErrorCancel, "failed-rules"},
		{stanza.UnexpectedRequest, stanza.ErrorWait, "not-subscribed"},
	}
	examples := strings.Split(strings.TrimSpace(stanzaErrors), "\n")
	if len(examples) != len(want) {
		t.Fatalf("%d examples for %d conditions", len(examples), len(want))
	}
	for i, w := range want {
		t.Run(string(w.cond), func(t *testing.T) {
			if got := w.cond.Type(); got != w.typ {
				t.Errorf("type %s, want %s", got, w.typ)
			}
			in := examples[i]
			if start, _, _ := strings.Cut(in, ">"); !strings.Contains(start, "type='error'") {
				in = strings.Replace(in, " from=", " type='error' from=", 1) // five examples lack what section 8.3.1 demands
			}
			if w.cond == stanza.JIDMalformed {
				// The example's sender is the malformed address itself: nobody can be answered, and the stanza goes.
				e := refused(t, in)
				if !errors.Is(e, stanza.JIDMalformed) || e.Reply() != nil {
					t.Errorf("error %v, reply %v", e, e.Reply())
				}
				in = strings.Replace(in, "ch@r@cters@", "characters@", 1)
			}
			s, err := read(t, in)
			if err != nil {
				t.Fatal(err)
			}
			e := s.Failure()
			if e == nil || e.Condition != w.cond {
				t.Fatalf("error %+v", e)
			}
			if w.cond != stanza.UndefinedCondition && w.cond != stanza.UnexpectedRequest && e.Type != w.typ {
				t.Errorf("the example has type %s", e.Type)
			}
			if app := ""; e.App != nil || w.app != "" {
				if e.App != nil {
					app = e.App.PayloadName().Local
				}
				if app != w.app {
					t.Errorf("application condition %q, want %q", app, w.app)
				}
			}
			switch w.cond {
			case stanza.Gone:
				if e.URI != "xmpp:romeo@afterlife.example.net" || e.By != addr(t, "example.net") {
					t.Errorf("URI %q by %s", e.URI, e.By)
				}
			case stanza.Redirect:
				if e.URI != "xmpp:characters@conference.example.org" {
					t.Errorf("URI %q", e.URI)
				}
			}
			if got := write(t, s); !sameXML(t, got, in) {
				t.Errorf("written\n got %s\nwant %s", got, in)
			}
			// As a Go error it is found however it is wrapped.
			wrapped := fmt.Errorf("asking: %w", e)
			var back *stanza.Error
			if !errors.Is(wrapped, w.cond) || errors.Is(wrapped, stanza.Condition("other")) || !errors.As(wrapped, &back) || back != e {
				t.Errorf("errors.Is or errors.As fails on %v", wrapped)
			}
			if !strings.HasPrefix(e.Error(), string(w.cond)) {
				t.Errorf("text %q", e.Error())
			}
		})
	}
}

func sameXML(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := xmltree.Parse([]byte(a), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	y, err := xmltree.Parse([]byte(b), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return x.Equal(y)
}

// TestStreamErrorsOfRFC6120 reads the example of each condition of section 4.9.3 from a stream.
func TestStreamErrorsOfRFC6120(t *testing.T) {
	want := []stanza.StreamCondition{
		stanza.StreamBadFormat, stanza.StreamBadNamespacePrefix, stanza.StreamConflict, stanza.StreamConnectionTimeout,
		stanza.StreamHostGone, stanza.StreamHostUnknown, stanza.StreamImproperAddressing, stanza.StreamInternalServerError,
		stanza.StreamInvalidFrom, stanza.StreamInvalidNamespace, stanza.StreamInvalidXML, stanza.StreamNotAuthorized,
		stanza.StreamNotWellFormed, stanza.StreamPolicyViolation, stanza.StreamRemoteConnectionFailed, stanza.StreamReset,
		stanza.StreamResourceConstraint, stanza.StreamRestrictedXML, stanza.StreamSeeOtherHost, stanza.StreamSystemShutdown,
		stanza.StreamUndefinedCondition, stanza.StreamUnsupportedEncoding, stanza.StreamUnsupportedFeature,
		stanza.StreamUnsupportedStanzaType, stanza.StreamUnsupportedVersion,
	}
	examples := strings.Split(strings.TrimSpace(streamErrors), "\n")
	if len(examples) != len(want) {
		t.Fatalf("%d examples for %d conditions", len(examples), len(want))
	}
	for i, cond := range want {
		t.Run(string(cond), func(t *testing.T) {
			w := newWire(t, examples[i])
			w.token()
			el := w.parser.Element()
			if !el.Is(stanza.NSStream, "error") {
				t.Fatalf("element %v", el.Name())
			}
			e := stanza.ParseStreamError(el.Clone())
			if e.Condition != cond || !errors.Is(fmt.Errorf("reading: %w", e), cond) || errors.Is(e, stanza.StreamCondition("other")) {
				t.Errorf("condition %s", e.Condition)
			}
			host, app := "", ""
			switch cond {
			case stanza.StreamSeeOtherHost:
				host = "[2001:41D0:1:A49b::1]:9222"
			case stanza.StreamPolicyViolation:
				app = "stanza-too-big"
			case stanza.StreamUndefinedCondition:
				app = "app-error"
			}
			if e.Host != host || (e.App != nil) != (app != "") || e.App != nil && e.App.PayloadName().Local != app {
				t.Errorf("host %q, application condition %v", e.Host, e.App)
			}
			enc := xmltree.NewEncoder(nil, stanza.NS)
			enc.Value(e.PayloadName(), e)
			got, err := enc.Bytes(), enc.Err()
			if err != nil || !sameXML(t, string(got), strings.Replace(examples[i], "<stream:error>", "<stream:error xmlns:stream='"+stanza.NSStream+"'>", 1)) {
				t.Errorf("written %s, error %v", got, err)
			}
		})
	}
}

func TestStreamErrorParts(t *testing.T) {
	for _, c := range []struct{ name, xml, want string }{
		{"no condition", `<stream:error/>`, "stream error undefined-condition"},
		{"text first, in two languages", `<stream:error><text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>gone</text><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>weg</text><host-gone xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>`, "stream error host-gone: weg"},
		{"unknown condition is kept", `<stream:error><tired xmlns='urn:ietf:params:xml:ns:xmpp-streams'>of you</tired><a xmlns='urn:a'/></stream:error>`, "stream error tired (a)"},
		{"two conditions", `<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>`, "stream error conflict"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire(t, c.xml)
			w.token()
			if e := stanza.ParseStreamError(w.parser.Element().Clone()); e.Error() != c.want || e.Host != "" {
				t.Errorf("got %q, host %q, want %q", e.Error(), e.Host, c.want)
			}
		})
	}
	enc := xmltree.NewEncoder(nil, stanza.NS)
	enc.Value(stanza.StreamError{}.PayloadName(), stanza.StreamError{Host: "x"})
	if want := []byte(`<error xmlns='http://etherx.jabber.org/streams'><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error>`); !bytes.Equal(enc.Bytes(), want) {
		t.Errorf("zero value written as %s", enc.Bytes())
	}
}

func TestStreamErrorFor(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want stanza.StreamCondition
	}{
		{"ill-formed", &xmltree.SyntaxError{Msg: "m", Err: xmltree.ErrNotWellFormed}, stanza.StreamNotWellFormed},
		{"restricted", &xmltree.SyntaxError{Msg: "m", Err: xmltree.ErrRestricted}, stanza.StreamRestrictedXML},
		{"encoding", &xmltree.SyntaxError{Msg: "m", Err: xmltree.ErrEncoding}, stanza.StreamUnsupportedEncoding},
		{"limit", fmt.Errorf("reading: %w", &xmltree.SyntaxError{Msg: "m", Err: xmltree.ErrLimit}), stanza.StreamPolicyViolation},
		{"another error", errors.New("broken pipe"), stanza.StreamUndefinedCondition},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := stanza.StreamErrorFor(c.err)
			if e.Condition != c.want || (e.Text.String() == "m") != (c.want != stanza.StreamUndefinedCondition) {
				t.Errorf("got %v", e)
			}
		})
	}
}

func TestAsError(t *testing.T) {
	own := stanza.NewError(stanza.Conflict, "taken")
	for _, c := range []struct {
		name  string
		err   error
		cond  stanza.Condition
		text  string
		known bool
	}{
		{"an *Error", own, stanza.Conflict, "taken", true},
		{"a wrapped *Error", fmt.Errorf("x: %w", own), stanza.Conflict, "taken", true},
		{"a Condition", stanza.Forbidden, stanza.Forbidden, "", true},
		{"a wrapped Condition", fmt.Errorf("secret: %w", stanza.Forbidden), stanza.Forbidden, "", true},
		{"a payload that cannot be read", refused(t, `<iq type='x' id='1' from='a@b'/>`), stanza.BadRequest, "an IQ must be of type get, set, result or error", true},
		{"any other tells nothing", errors.New("password of db is x"), stanza.InternalServerError, "", false},
		{"a ParseError without cause", &stanza.ParseError{Msg: "m"}, stanza.InternalServerError, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, known := stanza.AsError(c.err)
			if e == nil || e.Condition != c.cond || e.Text.String() != c.text || known != c.known {
				t.Errorf("got %v, %v", e, known)
			}
		})
	}
}
