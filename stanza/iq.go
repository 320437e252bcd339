package stanza

// IQType is the type of an IQ (RFC 6120 section 8.2.3).
type IQType string

// The types of an IQ.
const (
	IQGet    IQType = "get"
	IQSet    IQType = "set"
	IQResult IQType = "result"
	IQError  IQType = "error"
)

// IQ is a request or the answer to one (RFC 6120 section 8.2.3).
type IQ struct {
	Header
	Type IQType
	// Payload is the one child that a get or set has; a result may have one; an error may repeat that of the request.
	Payload Payload
	// Error is what an IQ of type error carries.
	Error *Error

	size int // bytes that a received IQ points to, its header aside
}

// Kind returns KindIQ.
func (iq *IQ) Kind() Kind { return KindIQ }

// StanzaType returns the type.
func (iq *IQ) StanzaType() string { return string(iq.Type) }

// Children returns the payload, if there is one.
func (iq *IQ) Children() []Payload {
	if iq.Payload == nil {
		return nil
	}
	return []Payload{iq.Payload}
}

// Failure returns Error.
func (iq *IQ) Failure() *Error { return iq.Error }

func (iq *IQ) sealed() {}

// IsRequest reports whether the IQ is a get or set and so must be answered.
func (iq *IQ) IsRequest() bool { return iq.Type == IQGet || iq.Type == IQSet }

// Result returns the result that answers the request. p may be nil.
func (iq *IQ) Result(p Payload) *IQ { return &IQ{Header: iq.reply(), Type: IQResult, Payload: p} }

// Fail returns the error that answers the request.
func (iq *IQ) Fail(e *Error) *IQ { return &IQ{Header: iq.reply(), Type: IQError, Error: e} }
