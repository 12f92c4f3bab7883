package llm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The errors of a Completer say what to do next. None of them ever holds text
// that an endpoint sent: a status, a code from a small alphabet and a request
// id are all an operator needs, and all that is safe to log.
var (
	// ErrQuota means that the account behind the key is used up: a person has
	// to pay or raise a limit. Pause; asking again is of no use.
	ErrQuota = errors.New("model quota is used up")
	// ErrUnauthorized means that the endpoint does not take the key. Pause;
	// a person has to change it.
	ErrUnauthorized = errors.New("model endpoint does not accept the key")
	// ErrTooLong means that the messages do not fit the model's context. The
	// request will never fit; a model with a larger context may take it.
	ErrTooLong = errors.New("request is too long for the model")
	// ErrRejected means that the endpoint will not take this request however
	// often it is asked: an unknown model or path, or a parameter it refuses.
	ErrRejected = errors.New("model endpoint rejected the request")
	// ErrTimeout means that one attempt took longer than an attempt may, while
	// the caller still had time. A caller's own deadline is its context's
	// error, never this one.
	ErrTimeout = errors.New("model took too long to answer")
	// ErrBudget means that the request could have been tried again, but too
	// many others already were. It comes together with the error that would
	// have been retried.
	ErrBudget = errors.New("retry budget is spent")
)

// RateLimitError means that the endpoint is asked too often. Ask again after
// RetryAfter, or, where that is 0, after a pause of the caller's choosing.
type RateLimitError struct {
	RetryAfter time.Duration
	Code       string
	RequestID  string
}

func (e *RateLimitError) Error() string {
	return "model is rate limited" + details(0, e.Code, e.RequestID, e.RetryAfter)
}

// UnavailableError means that the endpoint is down, cannot be reached, or
// answers with something that is not an answer. Ask again later.
type UnavailableError struct {
	Status     int           // 0 when there was no HTTP reply
	RetryAfter time.Duration // 0 when the endpoint did not say
	// Reason is a short snake_case word for what was wrong, such as
	// "refused_connection" or "unreadable_reply"; empty when Status says it.
	Reason    string
	Code      string
	RequestID string
}

func (e *UnavailableError) Error() string {
	text := "model is unavailable"
	if e.Reason != "" {
		text += ": " + strings.ReplaceAll(e.Reason, "_", " ")
	}
	return text + details(e.Status, e.Code, e.RequestID, e.RetryAfter)
}

// CertificateFault begins the Reason of an UnavailableError whose endpoint
// could not prove who it is. That seldom passes by itself.
const CertificateFault = "certificate"

// OpenError means that the breaker is open: the endpoint failed too often just
// now and was not asked. It wraps the failure that opened the breaker.
type OpenError struct {
	RetryAfter time.Duration // until the endpoint is tried again
	Cause      error
}

func (e *OpenError) Error() string {
	return fmt.Sprintf("model is not asked for another %s: %v", round(e.RetryAfter), e.Cause)
}

// Unwrap returns the failure that opened the breaker.
func (e *OpenError) Unwrap() error { return e.Cause }

// RefusedError is how ErrQuota, ErrUnauthorized, ErrTooLong and ErrRejected
// travel: the kind, and what an operator can look up.
type RefusedError struct {
	Kind      error
	Status    int // 0 when the request was never sent
	Code      string
	RequestID string
}

func (e *RefusedError) Error() string {
	return e.Kind.Error() + details(e.Status, e.Code, e.RequestID, 0)
}

// Unwrap returns the kind.
func (e *RefusedError) Unwrap() error { return e.Kind }

func details(status int, code, requestID string, retryAfter time.Duration) string {
	var parts []string
	if status != 0 {
		parts = append(parts, fmt.Sprintf("status %d", status))
	}
	if code = Token(code); code != "" {
		parts = append(parts, "code "+code)
	}
	if requestID = Token(requestID); requestID != "" {
		parts = append(parts, "request "+requestID)
	}
	if retryAfter > 0 {
		parts = append(parts, "retry after "+round(retryAfter).String())
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// maxToken bounds a code or request id, in bytes.
const maxToken = 64

// Token lets through what looks like a code or an id and nothing that could
// be a piece of text.
func Token(s string) string {
	if len(s) > maxToken {
		return ""
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-', c == '.', c == ':':
		default:
			return ""
		}
	}
	return s
}

// Retryable reports whether the same request may succeed later. It is the one
// classifier, for retries within a call and for a queue alike. The errors of a
// context are never retryable: whoever waited has gone.
func Retryable(err error) bool {
	switch {
	case err == nil,
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, ErrQuota), errors.Is(err, ErrUnauthorized),
		errors.Is(err, ErrTooLong), errors.Is(err, ErrRejected):
		return false
	case errors.Is(err, ErrTimeout), errors.Is(err, ErrBudget):
		return true
	}
	var limited *RateLimitError
	var unavailable *UnavailableError
	var open *OpenError
	return errors.As(err, &limited) || errors.As(err, &unavailable) || errors.As(err, &open)
}

// RetryAfter returns how long to wait before asking again; false when the
// endpoint did not say.
func RetryAfter(err error) (time.Duration, bool) {
	// The breaker comes first: what it wraps is a wait that began earlier.
	var open *OpenError
	if errors.As(err, &open) {
		return open.RetryAfter, open.RetryAfter > 0
	}
	var limited *RateLimitError
	if errors.As(err, &limited) {
		return limited.RetryAfter, limited.RetryAfter > 0
	}
	var unavailable *UnavailableError
	if errors.As(err, &unavailable) {
		return unavailable.RetryAfter, unavailable.RetryAfter > 0
	}
	return 0, false
}

// Kind names an error in one word of a small, fixed set, for metrics and
// logs: "" for nil, else rate_limit, quota, dead_key, too_long, rejected,
// unavailable, timeout, open, cancelled, deadline or other.
func Kind(err error) string {
	var open *OpenError
	var limited *RateLimitError
	var unavailable *UnavailableError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline"
	case errors.As(err, &open):
		return "open"
	case errors.Is(err, ErrQuota):
		return "quota"
	case errors.Is(err, ErrUnauthorized):
		return "dead_key"
	case errors.Is(err, ErrTooLong):
		return "too_long"
	case errors.Is(err, ErrRejected):
		return "rejected"
	case errors.Is(err, ErrTimeout):
		return "timeout"
	case errors.As(err, &limited):
		return "rate_limit"
	case errors.As(err, &unavailable):
		return "unavailable"
	default:
		return "other"
	}
}
