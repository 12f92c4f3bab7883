package server

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/gradus-ai/gradus/internal/access"
	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/once"
)

// endpoint is one route: how it is served and what the document says of it.
//
// The document is made by huma from the types of package api; requests are
// served by plain gin handlers. huma's own dispatch would read every body twice
// (its validation needs a generic tree; a grade request of 150 words took 19 µs
// that way and takes 4 µs this way) and would be a second writer of failures.
// The contract tests prove instead that what is served is what is documented.
type endpoint struct {
	method string
	path   string // in the document's form: /v1/sets/{set}
	// open routes need no key and are not checked for their origin.
	open bool
	// needs is the scope of a guarded route; empty means read for GET, else grade.
	needs access.Scope
	// holds is true where a request takes one of its key's slots in flight.
	holds bool
	serve func(*gin.Context) error
	doc   operation
}

// operation is what the OpenAPI document says of an endpoint.
type operation struct {
	id, tag     string
	summary     string
	description string
	params      []param
	request     reflect.Type // nil: no body
	status      int          // of success
	media       string       // of success; empty: application/json
	response    reflect.Type // of success; nil: not described, or no body
	tagged      bool         // has an ETag, may answer 304
	graded      bool         // has X-Cache
	also        []int        // other statuses with the body of success
	problems    []api.ProblemType

	example any       // of the request
	accepts []content // other media of the request
	offers  []content // other media of success
	// others are other statuses of success, with replies of their own; nil: no body.
	others  map[int]reflect.Type
	located bool // status has Location
}

// content is a body in a medium of its own. of is nil where no schema describes it.
type content struct {
	media   string
	of      reflect.Type
	example any
}

// param is a parameter of an operation.
type param struct {
	in, name, description string
	enum                  []any
	// schema is what else there is to say of its values; nil: any text, and in a
	// query not an empty one.
	schema *huma.Schema
}

// Parameters used more than once.
var (
	paramGrade    = param{in: "path", name: "id", description: "Id of a grade."}
	paramSet      = param{in: "path", name: "set", description: "Id of a set."}
	paramQuestion = param{in: "path", name: "question", description: "Id of a question, local to the set."}
	paramOnce     = param{in: "header", name: once.Header, description: "1 to 255 printable ASCII characters of your choice. Within 24 hours the same request with " +
		"the same key is answered once: a repeated one gets the first reply, marked with Idempotency-Replayed: true. Failures are not kept, so that another try can succeed.",
		schema: &huma.Schema{Type: huma.TypeString, MinLength: new(1), MaxLength: new(255), Pattern: "^[ -~]*$"}}
	paramDetail = param{in: "query", name: "detail", description: "How much of the feedback to give; full where left out.",
		enum: []any{api.DetailNudge, api.DetailHint, api.DetailFull}}
)

// endpoints is every route of the service.
func (s *Server) endpoints() []endpoint {
	list := []endpoint{
		{method: http.MethodPost, path: "/v1/grades", holds: true, serve: s.grade, doc: operation{
			id: "gradeAnswer", tag: "grades", summary: "Grade one answer",
			description: "The same answer to the same question is graded once and kept: X-Cache says whether this grade was. " +
				"A judge that was asked and could not judge is a grade with status needs_review; a judge that could not be asked is a problem.\n\n" +
				"Who accepts text/event-stream rather than application/json is told of criteria as they are decided. Events are `criterion` with an entry of the grade's criteria, " +
				"not commented yet, and sent again when the judge comes to another view; `ping` when there has been nothing else for 15 seconds; and, last and once, " +
				"`grade` with what would have been the body, or `problem` with the problem, and, where that would have had a Retry-After, the same time as `retry`, in milliseconds. " +
				"The reply begins with the first event: until then a failure is a reply of its own, with its own status. " +
				"A grade that was kept, is made for another request at that moment, or needs no time comes without `criterion`. Such a reply has no X-Cache. A repeated request with an idempotency key gets the `grade`. " +
				"A stream without a last event was cut off.",
			params: []param{{in: "header", name: "Cache-Control", description: "no-cache grades again and replaces the kept grade."}, paramOnce,
				{in: "header", name: "Accept", description: "application/json or text/event-stream."}},
			request: reflect.TypeFor[api.GradeRequest](), status: http.StatusOK, response: reflect.TypeFor[api.Grade](), graded: true,
			offers: []content{{media: eventStream}},
			problems: []api.ProblemType{
				api.MalformedBody, api.UnknownQuestion, api.BodyTimeout, api.BodyTooLarge, api.UnsupportedMediaType,
				api.InvalidRequest, api.IdempotencyInProgress, api.IdempotencyKeyReused, api.AnswerTooLong, api.NoModel, api.Overloaded, api.StoreUnavailable, api.ModelRejected, api.ModelUnavailable,
				api.ModelMisconfigured, api.ShuttingDown, api.ModelTimeout,
			},
		}},
		{method: http.MethodGet, path: "/v1/grades/{id}", serve: s.kept, doc: operation{
			id: "getGrade", tag: "grades", summary: "Read a kept grade",
			params: []param{paramGrade, paramDetail}, status: http.StatusOK, response: reflect.TypeFor[api.Grade](), graded: true, tagged: true,
			problems: []api.ProblemType{api.UnknownGrade, api.InvalidRequest, api.StoreUnavailable},
		}},
		{method: http.MethodDelete, path: "/v1/grades/{id}", serve: s.forget, doc: operation{
			id: "forgetGrade", tag: "grades", summary: "Forget a kept grade",
			description: "Forgetting a grade that is not kept is not an error.",
			params:      []param{paramGrade}, status: http.StatusNoContent, problems: []api.ProblemType{api.StoreUnavailable},
		}},
		{method: http.MethodGet, path: "/v1/sets", serve: s.listSets, doc: operation{
			id: "listSets", tag: "questions", summary: "List the question sets",
			status: http.StatusOK, response: reflect.TypeFor[[]api.SetSummary](), tagged: true,
		}},
		{method: http.MethodGet, path: "/v1/sets/{set}", serve: s.oneSet, doc: operation{
			id: "getSet", tag: "questions", summary: "Read one question set",
			params: []param{paramSet}, status: http.StatusOK, response: reflect.TypeFor[api.SetSummary](), tagged: true,
			problems: []api.ProblemType{api.UnknownSet},
		}},
		{method: http.MethodGet, path: "/v1/sets/{set}/questions/{question}", serve: s.oneQuestion, doc: operation{
			id: "getQuestion", tag: "questions", summary: "Read one question with its criteria",
			params: []param{paramSet, paramQuestion, {in: "query", name: "include",
				description: "sample_answer adds the sample answer.", enum: []any{"sample_answer"}}},
			status: http.StatusOK, response: reflect.TypeFor[api.QuestionView](), tagged: true,
			problems: []api.ProblemType{api.UnknownQuestion, api.InvalidRequest},
		}},
		{method: http.MethodGet, path: "/healthz", open: true, serve: s.healthz, doc: operation{
			id: "healthz", tag: "service", summary: "Is the process alive?",
			status: http.StatusOK, response: reflect.TypeFor[api.Liveness](),
		}},
		{method: http.MethodGet, path: "/readyz", open: true, serve: s.readyz, doc: operation{
			id: "readyz", tag: "service", summary: "Should requests be sent here?",
			description: "503 while something that is needed is down, or while shutting down; degraded is 200.",
			status:      http.StatusOK, response: reflect.TypeFor[api.Readiness](), also: []int{http.StatusServiceUnavailable},
		}},
		{method: http.MethodGet, path: "/problems", open: true, serve: s.listProblems, doc: operation{
			id: "listProblems", tag: "service", summary: "List the types of problems",
			status: http.StatusOK, response: reflect.TypeFor[[]api.ProblemType](),
		}},
		{method: http.MethodGet, path: "/problems/{slug}", open: true, serve: s.oneProblem, doc: operation{
			id: "getProblem", tag: "service", summary: "Read what a type of problem means",
			params: []param{{in: "path", name: "slug", description: "Last part of a problem's type."}},
			status: http.StatusOK, response: reflect.TypeFor[api.ProblemType](), problems: []api.ProblemType{api.NotFound},
		}},
		{method: http.MethodGet, path: "/openapi.json", open: true, serve: s.document, doc: operation{
			id: "openapi", tag: "service", summary: "Read this document", status: http.StatusOK,
		}},
		{method: http.MethodGet, path: "/docs", open: true, serve: s.docs, doc: operation{
			id: "docs", tag: "service", summary: "Read this document in a browser", status: http.StatusOK, media: "text/html",
		}},
		{method: http.MethodGet, path: "/", open: true, serve: s.home, doc: operation{
			id: "home", tag: "service", summary: "Open the web page", status: http.StatusOK, media: "text/html",
		}},
	}
	if s.cfg.Batches != nil {
		list = append(list, s.batchEndpoints()...)
	}
	if s.cfg.Metrics != nil {
		list = append(list, endpoint{method: http.MethodGet, path: "/metrics", needs: access.Admin, serve: s.metrics, doc: operation{
			id: "metrics", tag: "service", summary: "Read metrics in Prometheus' format", status: http.StatusOK, media: "text/plain",
		}})
	}
	return list
}

// route builds the engine and the document.
func (s *Server) route() error {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.HandleMethodNotAllowed = true
	e.ContextWithFallback = true
	// A redirect to the path without a slash would believe X-Forwarded-Prefix,
	// and turn a POST into something else in many clients.
	e.RedirectTrailingSlash = false
	if err := e.SetTrustedProxies(nil); err != nil {
		return err
	}
	e.Use(s.around, s.addressed, s.cors)
	list := s.endpoints()
	for _, ep := range list {
		handler := s.handler(ep)
		path := strings.NewReplacer("{", ":", "}", "").Replace(ep.path)
		e.Handle(ep.method, path, handler)
		if ep.method == http.MethodGet {
			e.Handle(http.MethodHead, path, handler) // net/http drops the body
		}
	}
	files := s.handler(endpoint{open: true, serve: s.docs})
	e.GET("/docs/*file", files)
	e.HEAD("/docs/*file", files)
	if s.cfg.Page != nil {
		for _, path := range pagePaths {
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
				e.Handle(method, path, s.handler(endpoint{open: true, serve: s.page}))
			}
		}
	}
	if s.cfg.MCP != nil {
		// Its messages are described by the protocol, not by the document.
		e.POST("/mcp", s.handler(endpoint{method: http.MethodPost, path: "/mcp", needs: access.Read, serve: s.mcp}))
	}
	e.NoRoute(s.handler(endpoint{open: true, serve: s.nowhere}))
	e.NoMethod(s.handler(endpoint{open: true, serve: func(*gin.Context) error {
		return fail(api.MethodNotAllowed, "The method is not allowed here.")
	}}))
	s.engine = e
	var err error
	s.openapi, err = describe(list, s.cfg.Version)
	return err
}

// handler puts the guard before an endpoint and the one writer of failures
// behind it.
func (s *Server) handler(ep endpoint) gin.HandlerFunc {
	return func(c *gin.Context) {
		if !ep.open {
			if err := s.admit(c, &ep); err != nil {
				s.fail(c, err)
				return
			}
		}
		if ep.holds {
			if err := s.occupy(c); err != nil {
				s.fail(c, err)
				return
			}
			defer s.vacate(c)
		}
		if err := ep.serve(c); err != nil {
			s.fail(c, err)
		}
	}
}
