package server

import (
	"fmt"
	"math"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/rows"
)

// uploadFormat is the format of an upload by its media type.
func uploadFormat(h http.Header) (rows.Format, error) {
	if encoding := h.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return "", fail(api.UnsupportedMediaType, "Compressed bodies are not accepted.")
	}
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		media = ""
	}
	if charset, given := params["charset"]; given && !strings.EqualFold(charset, "utf-8") {
		return "", fail(api.UnsupportedMediaType, "The charset must be utf-8.")
	}
	switch media {
	case "application/json":
		return rows.JSON, nil
	case "application/x-ndjson", "application/ndjson", "application/jsonl":
		return rows.NDJSON, nil
	case "text/csv":
		return rows.CSV, nil
	default:
		return "", fail(api.UnsupportedMediaType, "The Content-Type must be application/json, application/x-ndjson or text/csv.")
	}
}

// switched is a parameter that is on or off. An empty one is neither: a caller
// with nothing to fill in must not erase a batch.
func switched(query url.Values, name string) (bool, error) {
	switch value := query.Get(name); {
	case !query.Has(name), value == "0", value == "false":
		return false, nil
	case value == "1", value == "true":
		return true, nil
	default:
		return false, invalid(api.Fault{Detail: "query parameter " + name + ": expected 1 or 0"})
	}
}

// batchQuery is the options in a query. Unknown ones are refused: a misspelt
// dry_run would cost money.
func batchQuery(raw string) (api.BatchOptions, error) {
	var o api.BatchOptions
	query, err := url.ParseQuery(raw)
	if err != nil {
		return o, invalid(api.Fault{Detail: "the query cannot be read"})
	}
	var faults []api.Fault
	texts := map[string]*string{
		"judge": &o.Judge, "fallback": &o.Fallback, "detail": (*string)(&o.Detail),
		"question_id": &o.QuestionID, "webhook_url": &o.WebhookURL, "on_error": &o.OnError,
	}
	for name, values := range query {
		at := func(detail string) {
			faults = append(faults, api.Fault{Detail: "query parameter " + name + ": " + detail})
		}
		into, known := texts[name]
		switch {
		case !known && name != "max_cost" && name != "dry_run":
			faults = append(faults, api.Fault{Detail: "there is a query parameter that is none of judge, fallback, detail, question_id, max_cost, webhook_url, on_error and dry_run"})
		case len(values) > 1:
			at("given more than once")
		case known && values[0] == "":
			at("it is empty: leave it out")
		case known:
			*into = values[0]
		case name == "max_cost":
			cost, err := strconv.ParseFloat(values[0], 64)
			if err != nil || math.IsNaN(cost) || math.IsInf(cost, 0) {
				at("expected a number")
			}
			o.MaxCost = &cost
		default:
			if o.DryRun, err = switched(query, name); err != nil {
				at("expected 1 or 0")
			}
		}
	}
	if faults != nil {
		return o, invalid(faults...)
	}
	return o, nil
}

// merged is the options of the body, with those of the query where it has none.
func merged(body, query api.BatchOptions) api.BatchOptions {
	or := func(a *string, b string) {
		if *a == "" {
			*a = b
		}
	}
	or(&body.Judge, query.Judge)
	or(&body.Fallback, query.Fallback)
	or((*string)(&body.Detail), string(query.Detail))
	or(&body.QuestionID, query.QuestionID)
	or(&body.WebhookURL, query.WebhookURL)
	or(&body.OnError, query.OnError)
	if body.MaxCost == nil {
		body.MaxCost = query.MaxCost
	}
	body.DryRun = body.DryRun || query.DryRun
	return body
}

// checkOptions lists what is wrong with the options of a batch. Pointers are
// those of a JSON upload; each name is that of a query parameter as well.
func (s *Server) checkOptions(o *api.BatchOptions) []api.Fault {
	var faults []api.Fault
	fault := func(pointer, detail string) {
		faults = append(faults, api.Fault{Pointer: pointer, Detail: detail})
	}
	switch o.Judge {
	case "", api.JudgeAuto, api.JudgeModel, api.JudgeLexical:
	default:
		fault("/judge", "expected \"auto\", \"model\" or \"lexical\"")
	}
	if o.Fallback != "" && o.Fallback != api.JudgeLexical {
		fault("/fallback", "expected \"lexical\", or leave it out")
	}
	if !grading.Detail(o.Detail).Valid() {
		fault("/detail", detailFault)
	}
	switch o.OnError {
	case "", api.OnErrorReject, api.OnErrorSkip:
	default:
		fault("/on_error", "expected \"reject\" or \"skip\"")
	}
	if o.MaxCost != nil && *o.MaxCost < 0 {
		fault("/max_cost", "a cost is not below 0")
	}
	if o.QuestionID != "" {
		if _, err := s.cfg.Library.Find(o.QuestionID); err != nil {
			fault("/question_id", "there is no such question"+near(err))
		}
	}
	if o.WebhookURL != "" {
		if s.cfg.CheckWebhook == nil {
			fault("/webhook_url", "this service sends no webhooks: no secret to sign them with is configured")
		} else if err := s.cfg.CheckWebhook(o.WebhookURL); err != nil {
			fault("/webhook_url", err.Error())
		}
	}
	return faults
}

// resultFormat is the format in which results are wanted: by the query, else by
// what the client accepts most of all, else NDJSON.
func resultFormat(query url.Values, accept string) (rows.Format, error) {
	switch f := rows.Format(query.Get("format")); {
	case f == rows.JSON, f == rows.NDJSON, f == rows.CSV:
		return f, nil
	case query.Has("format"):
		return "", invalid(api.Fault{Detail: "query parameter format: expected \"ndjson\", \"csv\" or \"json\""})
	}
	switch mostAccepted(accept, "application/x-ndjson", "application/ndjson", "application/jsonl", "application/json", "text/csv") {
	case "application/json":
		return rows.JSON, nil
	case "text/csv":
		return rows.CSV, nil
	}
	return rows.NDJSON, nil
}

// mostAccepted is the first of the offered media that a client accepts most of
// all and names; empty where it names none.
func mostAccepted(accept string, offered ...string) string {
	best, most := "", 0.
	for part := range strings.SplitSeq(accept, ",") {
		media, params, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil {
			continue
		}
		weight := 1.
		if q, given := params["q"]; given {
			if weight, err = strconv.ParseFloat(q, 64); err != nil {
				continue
			}
		}
		if weight > most && slices.Contains(offered, media) {
			best, most = media, weight
		}
	}
	return best
}

// mediaOf is the media type of results.
func mediaOf(format rows.Format) string {
	switch format {
	case rows.JSON:
		return "application/json"
	case rows.CSV:
		return "text/csv; charset=utf-8; header=present"
	default:
		return "application/x-ndjson"
	}
}

// index is a parameter that counts from 0.
func index(query url.Values, name string) (int, error) {
	if !query.Has(name) {
		return 0, nil
	}
	n, err := strconv.Atoi(query.Get(name))
	if err != nil || n < 0 {
		return 0, invalid(api.Fault{Detail: fmt.Sprintf("query parameter %s: expected a number from 0 on", name)})
	}
	return n, nil
}
