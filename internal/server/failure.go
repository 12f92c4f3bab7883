package server

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/once"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// failure is an error that already is a problem: this package's own findings.
type failure struct {
	kind   api.ProblemType
	detail string
	faults []api.Fault
	// after is what Retry-After says; 0 sends none.
	after time.Duration
}

func (f *failure) Error() string { return f.kind.Title + ": " + f.detail }

// fail makes a failure. detail is a sentence that repeats nothing of a body.
func fail(kind api.ProblemType, detail string, faults ...api.Fault) *failure {
	return &failure{kind: kind, detail: detail, faults: faults}
}

// invalid makes the failure of a request that was understood and is wrong.
func invalid(faults ...api.Fault) *failure {
	detail := "The request has " + strconv.Itoa(len(faults)) + " faults."
	if len(faults) == 1 {
		detail = sentence(faults[0])
	}
	return fail(api.InvalidRequest, detail, faults...)
}

// sentence is a fault as prose.
func sentence(f api.Fault) string {
	if f.Line > 0 {
		where := "Line " + strconv.Itoa(f.Line)
		if f.Pointer != "" {
			where += ", " + f.Pointer
		}
		return stop(where + ": " + f.Detail)
	}
	if f.Pointer != "" {
		return stop(f.Pointer + ": " + f.Detail)
	}
	r, size := utf8.DecodeRuneInString(f.Detail)
	return stop(string(unicode.ToUpper(r)) + f.Detail[size:])
}

// stop ends a sentence that does not ask.
func stop(text string) string {
	if strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}

// defaultWait is what Retry-After says where nobody knows better.
const defaultWait = 5 * time.Second

// row says which problem an error of another package is. make gets the error
// for what it carries; it must not pass its text on, which may hold secrets of
// the operator.
type row struct {
	is   func(error) bool
	make func(error) *failure
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func as[E error](err error) bool {
	var target E
	return errors.As(err, &target)
}

func always(kind api.ProblemType, detail string, faults ...api.Fault) func(error) *failure {
	return func(error) *failure { return fail(kind, detail, faults...) }
}

// causes is the one table from errors to problems; the first row that matches
// counts. A test demands a row for every sentinel and error type of the
// packages whose errors arrive here.
var causes = []row{
	{is(grading.ErrNotFound), always(api.UnknownGrade, "No grade of this id is kept for you.")},
	{is(grading.ErrNoModel), always(api.NoModel, "This service runs without a model.",
		api.Fault{Pointer: "/judge", Detail: "expected \"auto\" or \"lexical\": no model is configured"})},
	{as[rubric.Faults], func(err error) *failure {
		var found rubric.Faults
		errors.As(err, &found)
		faults := make([]api.Fault, len(found))
		for i, f := range found {
			faults[i] = api.Fault{Pointer: f.Pointer, Detail: unquoted(f.Reason)}
		}
		return invalid(faults...)
	}},
	{as[*rubric.InvalidError], func(err error) *failure {
		var found *rubric.InvalidError
		errors.As(err, &found)
		return invalid(api.Fault{Pointer: found.Pointer, Detail: unquoted(found.Reason)})
	}},
	{is(rubric.ErrInvalid), always(api.InvalidRequest, "The question is not valid.")},
	{is(rubric.ErrNotFound), always(api.UnknownQuestion, "No question goes by this name.")},
	{is(once.ErrKey), always(api.InvalidRequest, "The idempotency key is not valid.",
		api.Fault{Detail: "header Idempotency-Key: " + once.ErrKey.Error()})},
	{is(once.ErrRunning), inProgress},
	{is(once.ErrReused), always(api.IdempotencyKeyReused, "This idempotency key came with another request before.")},

	{is(batch.ErrNotFound), always(api.UnknownBatch, "No batch of this id is kept for you.")},
	{is(batch.ErrInProgress), inProgress},
	{is(batch.ErrKeyReused), always(api.IdempotencyKeyReused, "This idempotency key came with another batch before.")},
	{is(batch.ErrStorageFull), always(api.StorageFull, "There is no room for another batch at present.")},
	{is(batch.ErrNotDurable), always(api.StorageNotDurable, "The store does not keep what it is told.")},
	{is(batch.ErrNoPrice), always(api.InvalidRequest, "A cost limit needs a price for the model.",
		api.Fault{Pointer: "/max_cost", Detail: "the price of the model is not known to this service, so that no limit can be kept"})},
	{is(batch.ErrEmpty), always(api.InvalidRequest, "There are no answers.", api.Fault{Detail: "there are no answers"})},
	{is(batch.ErrTooMany), always(api.TooManyItems, "The batch has too many answers.")},

	// Our own time limit comes before what was being waited for when it struck.
	{is(grading.ErrTimeout), always(api.ModelTimeout, tooLate)},
	// An open breaker comes before what opened it: it knows when to come back.
	{as[*llm.OpenError], unavailable},
	{is(llm.ErrQuota), always(api.ModelMisconfigured, "The model does not serve us at present.")},
	{is(llm.ErrUnauthorized), always(api.ModelMisconfigured, "The model does not serve us at present.")},
	{is(llm.ErrTooLong), always(api.AnswerTooLong, "Question and answer do not fit the model.",
		api.Fault{Pointer: "/answer", Detail: "the answer is too long for the configured model"})},
	{is(llm.ErrRejected), always(api.ModelRejected, "The model endpoint does not take our requests.")},
	{as[*llm.RateLimitError], unavailable},
	{as[*llm.UnavailableError], unavailable},
	{is(llm.ErrTimeout), always(api.ModelTimeout, tooLate)},
	{is(llm.ErrBudget), unavailable},
	{is(context.DeadlineExceeded), always(api.ModelTimeout, tooLate)},
}

// inProgress is soon over.
func inProgress(error) *failure {
	f := fail(api.IdempotencyInProgress, "The first request with this idempotency key has not been answered yet.")
	f.after = time.Second
	return f
}

// quotation is what package rubric puts around a caller's value (strconv.Quote).
var quotation = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// unquoted takes the caller's values out of a reason: a problem points at them.
func unquoted(reason string) string { return quotation.ReplaceAllLiteralString(reason, `"…"`) }

const tooLate = "The grade was not ready within the time limit."

// unavailable passes on how long to wait where that is known.
func unavailable(err error) *failure {
	f := fail(api.ModelUnavailable, "The model cannot be asked right now.")
	f.after, _ = llm.RetryAfter(err)
	return f
}

// classify finds the problem for an error in a table. What no row knows is our
// own fault.
func classify(rows []row, err error) *failure {
	var own *failure
	if errors.As(err, &own) {
		return own
	}
	for _, r := range rows {
		if r.is(err) {
			return r.make(err)
		}
	}
	return fail(api.Internal, "The request could not be completed.")
}

// passing reports whether a problem of this status says when to come back.
func passing(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable || status == http.StatusConflict
}

// fail answers a request with a problem. It is the only place that writes a
// failure, and the only one that logs its cause.
func (s *Server) fail(c *gin.Context, err error) {
	c.Abort()
	x := exchangeOf(c)
	if c.Request.Context().Err() != nil && errors.Is(err, context.Canceled) {
		// Nobody is there to read an answer.
		x.status = statusClientGone
		if c.Writer.Written() {
			panic(http.ErrAbortHandler) // what has begun must not look complete
		}
		return
	}
	f := classify(s.rows, err)
	x.problem = f.kind.Slug()
	if f.kind.Status >= http.StatusInternalServerError && !as[*panicked](err) {
		level := slog.LevelWarn
		if f.kind == api.Internal || f.kind == api.ModelMisconfigured || f.kind == api.ModelRejected {
			level = slog.LevelError
		}
		s.log.LogAttrs(c.Request.Context(), level, "request failed",
			slog.String("request_id", x.id), slog.String("problem", x.problem), slog.String("error", err.Error()))
	}
	if c.Writer.Written() && x.events == nil {
		return // half an answer is out; all that is left is to end it
	}
	body, encodeErr := json.Marshal(api.Problem{
		Type:     f.kind.Type,
		Title:    f.kind.Title,
		Status:   f.kind.Status,
		Detail:   f.detail,
		Instance: "urn:gradus:request:" + x.id,
		Errors:   f.faults,
	})
	if encodeErr != nil {
		panic(encodeErr) // a struct of strings and numbers always encodes
	}
	wait := f.after
	if wait <= 0 {
		wait = defaultWait
	}
	if c.Writer.Written() {
		x.status = f.kind.Status
		x.events.problem(f.kind.Status, wait, body)
		return
	}
	h := c.Writer.Header()
	for _, name := range []string{"Etag", "Last-Modified", "X-Cache", "Content-Disposition"} {
		h.Del(name) // said of an answer that is not coming
	}
	h.Set("Cache-Control", "no-store")
	switch {
	case f.kind.Status == http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="gradus"`)
	case passing(f.kind.Status):
		h.Set("Retry-After", strconv.Itoa(seconds(wait)))
	}
	write(c, f.kind.Status, api.ProblemMedia, body)
	if x.unread && f.kind != api.BodyTimeout { // who was too slow gets no more time
		sink(c)
	}
}
