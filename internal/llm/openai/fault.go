package openai

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"

	api "github.com/sashabaranov/go-openai"

	"github.com/gradus-ai/gradus/internal/llm"
)

// fault names what went wrong on the way. The caller's own end comes first,
// then the attempt's; what the network said is reduced to a reason, because
// its text can hold bytes of a reply.
func fault(caller, attempt context.Context, err error) error {
	if cause := caller.Err(); cause != nil {
		return fmt.Errorf("ask model: %w", cause)
	}
	if attempt.Err() != nil {
		return llm.ErrTimeout
	}
	var known *llm.UnavailableError
	if errors.As(err, &known) {
		return known
	}
	var unencodable *json.MarshalerError
	if errors.As(err, &unencodable) || errors.Is(err, api.ErrChatCompletionInvalidModel) {
		// Stopped within the client; nothing was sent.
		return &llm.RefusedError{Kind: llm.ErrRejected, Code: "unsendable_request"}
	}
	reason := reasonOf(err)
	if reason == timedOut {
		return llm.ErrTimeout
	}
	return &llm.UnavailableError{Reason: reason}
}

// timedOut marks a wait for headers that took too long.
const timedOut = "timed_out"

// reasonOf is one word for a fault of the network, the most specific first.
func reasonOf(err error) string {
	var (
		dns       *net.DNSError
		op        *net.OpError
		timeout   net.Error
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		alert     tls.AlertError
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		shape     *json.UnmarshalTypeError
	)
	switch {
	case errors.Is(err, errOversized):
		return "oversized_reply"
	case errors.As(err, &shape):
		return "unreadable_reply"
	case errors.As(err, &host):
		return llm.CertificateFault + "_of_another_host"
	case errors.As(err, &authority):
		return llm.CertificateFault + "_of_unknown_authority"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return llm.CertificateFault + "_expired"
	case errors.As(err, &verify), errors.As(err, &invalid):
		return llm.CertificateFault + "_invalid"
	case errors.As(err, &record), errors.As(err, &alert):
		return "tls_handshake"
	case errors.As(err, &dns):
		return "unknown_host"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused_connection"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset_connection"
	case errors.As(err, &op) && op.Op == "dial":
		return "unreachable"
	case errors.As(err, &timeout) && timeout.Timeout():
		return timedOut
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "cut_reply"
	default:
		return "broken_connection"
	}
}

// httpsOnly keeps plain http off the proxy: such endpoints stand next door,
// and a proxy would read the key.
func httpsOnly(proxy func(*http.Request) (*url.URL, error)) func(*http.Request) (*url.URL, error) {
	return func(req *http.Request) (*url.URL, error) {
		if req.URL.Scheme != "https" {
			return nil, nil
		}
		return proxy(req)
	}
}
