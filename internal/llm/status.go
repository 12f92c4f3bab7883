package llm

import (
	"net/http"
	"slices"
	"time"
)

// Failure is an endpoint's "no" as it stood on the wire.
type Failure struct {
	Status     int
	Code       string // the error's code, or its type where it has none
	RequestID  string
	RetryAfter time.Duration // 0 when the endpoint did not say
}

// Codes that say more than the status they come with.
var (
	quotaCodes = []string{
		"insufficient_quota", "billing_hard_limit_reached", "billing_not_active",
		"insufficient_credits", "insufficient_balance", "credits_exhausted",
	}
	tooLongCodes = []string{
		"context_length_exceeded", "string_above_max_length", "exceed_context_size_error", "request_too_large",
	}
)

// Err is the error that a status and code amount to. Every status that is not
// an answer has one: what is not listed is the endpoint's fault from 500 on
// and the request's below.
func (f Failure) Err() error {
	code, id := Token(f.Code), Token(f.RequestID)
	refused := func(kind error) error {
		return &RefusedError{Kind: kind, Status: f.Status, Code: code, RequestID: id}
	}
	switch {
	case f.Status == http.StatusPaymentRequired,
		f.Status >= 400 && f.Status < 500 && slices.Contains(quotaCodes, code):
		return refused(ErrQuota)
	case f.Status == http.StatusTooManyRequests:
		return &RateLimitError{RetryAfter: f.RetryAfter, Code: code, RequestID: id}
	case f.Status == http.StatusUnauthorized, f.Status == http.StatusForbidden, f.Status == http.StatusProxyAuthRequired:
		return refused(ErrUnauthorized)
	case f.Status == http.StatusRequestEntityTooLarge,
		f.Status >= 400 && f.Status < 500 && slices.Contains(tooLongCodes, code):
		return refused(ErrTooLong)
	case f.Status >= 500,
		// Said by gateways of a request they lost, not of what was in it.
		f.Status == http.StatusRequestTimeout, f.Status == http.StatusConflict, f.Status == http.StatusTooEarly:
		return &UnavailableError{Status: f.Status, RetryAfter: f.RetryAfter, Code: code, RequestID: id}
	default:
		return refused(ErrRejected)
	}
}
