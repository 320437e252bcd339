package xmpptool

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/postern-im/postern/internal/doctor"
)

// certificate says whether clients accept the server's certificate, and for how long.
func (e *examination) certificate(state tls.ConnectionState) (verified bool) {
	chain := state.PeerCertificates
	if len(chain) == 0 {
		e.add(stepCert, doctor.Fail, "the server shows no certificate", "")
		return false
	}
	leaf := chain[0]
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	verifiedChains, err := leaf.Verify(x509.VerifyOptions{DNSName: e.name, Roots: e.tls.RootCAs, Intermediates: between})
	if err != nil {
		e.badCertificate(leaf, len(chain), err)
		return false
	}
	end := leaf.NotAfter
	for _, c := range verifiedChains[0] {
		if c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	left := time.Until(end)
	text := fmt.Sprintf("for %s, by %s, %d in the chain, until %s (%d days)",
		listed(leaf.DNSNames), issuer(leaf), len(verifiedChains[0]), end.UTC().Format(time.DateTime+" MST"), int(left.Hours()/24))
	if left < e.c.WarnBefore {
		e.add(stepCert, doctor.Warn, text, "Renew it, and see that the server reads the new one. Clients refuse it once it has ended.")
	} else {
		e.add(stepCert, doctor.OK, text, "")
	}
	return true
}

// badCertificate says why clients refuse a certificate.
func (e *examination) badCertificate(leaf *x509.Certificate, sent int, err error) {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	text, remedy := clean(err.Error()), ""
	switch {
	case errors.As(err, &name):
		text = fmt.Sprintf("it is for %s, and not for %s", listed(leaf.DNSNames), e.name)
		remedy = "It must name the domain of the addresses, not (only) the server's own name: get one that does."
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && time.Now().After(leaf.NotAfter):
		text = "it has ended, on " + leaf.NotAfter.UTC().Format(time.DateTime+" MST")
		remedy = "Renew it, and have the server read the new one."
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && time.Now().Before(leaf.NotBefore):
		text = "it begins only on " + leaf.NotBefore.UTC().Format(time.DateTime+" MST")
		remedy = "Is this machine's clock right?"
	case errors.As(err, &unknown) && leaf.CheckSignatureFrom(leaf) == nil, errors.As(err, &unknown) && leaf.Subject.String() == leaf.Issuer.String():
		text = "it is signed by itself"
		remedy = "Clients refuse it until each user has accepted it. Get one from an authority; for one of your own give --ca."
	case errors.As(err, &unknown):
		text = fmt.Sprintf("it is by %s, which this machine does not trust", issuer(leaf))
		remedy = "For an authority of your own give --ca FILE."
		if sent == 1 {
			remedy = "The server sends no intermediate certificate with it: it should send the full chain.\n" + remedy
		}
	}
	e.add(stepCert, doctor.Fail, "clients refuse the certificate: "+text, remedy)
}

// issuer names the authority of a certificate.
func issuer(c *x509.Certificate) string {
	if c.Issuer.CommonName != "" {
		return clean(c.Issuer.CommonName)
	}
	return clean(c.Issuer.String())
}
