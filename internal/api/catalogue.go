package api

import "net/http"

// problems is the path under which every problem type is explained.
const problems = "/problems/"

// ProblemType is an entry of the catalogue: what a problem of this type means.
// As an error it is a target for errors.Is on a *Problem.
type ProblemType struct {
	Type    string `json:"type" doc:"As in a problem." example:"/problems/unknown-question"`
	Status  int    `json:"status"`
	Title   string `json:"title"`
	Meaning string `json:"meaning" doc:"When it happens and what to do."`
}

// Slug is the last part of the type.
func (t ProblemType) Slug() string { return t.Type[len(problems):] }

// Error is the title.
func (t ProblemType) Error() string { return t.Title }

// The catalogue. Types and statuses are promises; titles and meanings may be
// reworded.
var (
	MalformedBody = declare("malformed-body", http.StatusBadRequest, "The body cannot be read",
		"The body is empty, is not one JSON value in UTF-8, or names a key twice; or it is not NDJSON or CSV in UTF-8, where that was announced. Nothing was accepted or graded.")
	KeyNeeded = declare("unauthorized", http.StatusUnauthorized, "An API key is needed",
		"Send a valid key as \"Authorization: Bearer KEY\".")
	CrossOrigin = declare("cross-origin", http.StatusForbidden, "Requests from other sites are refused",
		"A browser sent this request on behalf of another site.")
	ForbiddenScope = declare("forbidden-scope", http.StatusForbidden, "The key may not do this",
		"The key is valid but lacks the scope that detail names: grade to send answers in and take them back, read to look at grades and questions, admin for what concerns all tenants.")
	NotFound = declare("not-found", http.StatusNotFound, "There is nothing at this path",
		"The path is not one of this service; /openapi.json lists those that are.")
	UnknownSet = declare("unknown-set", http.StatusNotFound, "There is no such question set",
		"GET /v1/sets lists the sets.")
	UnknownQuestion = declare("unknown-question", http.StatusNotFound, "There is no such question",
		"Questions are named SET/QUESTION; GET /v1/sets lists them.")
	UnknownGrade = declare("unknown-grade", http.StatusNotFound, "There is no such grade",
		"The grade was never made, was not kept, has been forgotten, or belongs to someone else.")
	UnknownBatch = declare("unknown-batch", http.StatusNotFound, "There is no such batch",
		"The batch was never accepted, has been erased or has reached its retention, or belongs to someone else.")
	MethodNotAllowed = declare("method-not-allowed", http.StatusMethodNotAllowed, "The method is not allowed here",
		"The Allow header lists the methods that are.")
	BodyTimeout = declare("body-timeout", http.StatusRequestTimeout, "The body took too long to arrive",
		"The connection was too slow or stalled. Sending the request again is safe.")
	IdempotencyInProgress = declare("idempotency-in-progress", http.StatusConflict, "The same request is being answered",
		"The first request with this Idempotency-Key has not been answered yet. Try again after Retry-After to get its reply.")
	ItemCancelled = declare("item-cancelled", http.StatusConflict, "The batch was cancelled first",
		"In a row of results: the batch was cancelled before this answer was graded. Send it again in another batch.")
	CostLimit = declare("cost-limit", http.StatusPaymentRequired, "The cost limit was reached",
		"In a row of results: grading this answer could have cost more than was left of the batch's max_cost.")
	BodyTooLarge = declare("body-too-large", http.StatusRequestEntityTooLarge, "The body is too large",
		"A request body may have at most 512 KiB, the upload of a batch 200 MiB.")
	TooManyItems = declare("too-many-items", http.StatusRequestEntityTooLarge, "The batch has too many answers",
		"A batch may have at most 50,000 answers. Split it; nothing was accepted.")
	Misdirected = declare("misdirected-request", http.StatusMisdirectedRequest, "This service does not go by that name",
		"An open service on loopback answers requests for localhost, 127.0.0.1, [::1] and the name it was told to listen on, and no others: "+
			"a page of another site could pass itself off as one of this machine. With API keys, or --insecure-open, any name will do.")
	UnsupportedMediaType = declare("unsupported-media-type", http.StatusUnsupportedMediaType, "The body is of an unsupported type",
		"Send JSON in UTF-8, uncompressed, with \"Content-Type: application/json\"; a batch may be application/x-ndjson or text/csv too.")
	InvalidRequest = declare("invalid-request", http.StatusUnprocessableEntity, "The request does not make sense",
		"The body can be read, but fields are missing, unknown, of the wrong type or out of range; errors points at each.")
	IdempotencyKeyReused = declare("idempotency-key-reused", http.StatusUnprocessableEntity, "The Idempotency-Key belongs to another request",
		"Within 24 hours a key stands for one request: send what it came with first, or take a new key.")
	AnswerTooLong = declare("answer-too-long", http.StatusUnprocessableEntity, "The answer is too long for the model",
		"Question and answer together do not fit the configured model. A shorter answer, or the judge \"lexical\", may do.")
	NoModel = declare("no-model", http.StatusUnprocessableEntity, "No model is configured",
		"The judge \"model\" was asked for, but this service runs without one.")
	RateLimited = declare("rate-limited", http.StatusTooManyRequests, "Too many requests a minute",
		"The key has used up its requests of this minute; RateLimit says what is left and RateLimit-Policy of how many. Try again after Retry-After.")
	TooManyInFlight = declare("too-many-in-flight", http.StatusTooManyRequests, "Too many requests at once",
		"The key has as many answers being graded as it may have. Wait for one of them, or try again after Retry-After.")
	TokenBudgetSpent = declare("token-budget-spent", http.StatusTooManyRequests, "The tokens of the day are spent",
		"The key has used as many tokens of models today (UTC) as it may. Kept grades can still be read. Try again after Retry-After.")
	Internal = declare("internal", http.StatusInternalServerError, "Something went wrong on our side",
		"A fault of the service. The request id in instance helps its operator to find the cause.")
	WorkerCrash = declare("worker-crash", http.StatusInternalServerError, "The service broke down over this answer",
		"In a row of results: working on this answer ended several workers, so it is not tried again. The operator should look.")
	ModelRejected = declare("model-rejected", http.StatusBadGateway, "The model refused the request",
		"The model endpoint does not accept what it was sent; its operator has to look. Nothing was graded.")
	ModelUnavailable = declare("model-unavailable", http.StatusServiceUnavailable, "The model cannot be asked right now",
		"The model is rate limited, overloaded or down. Try again after Retry-After, or allow \"fallback\": \"lexical\".")
	ModelMisconfigured = declare("model-misconfigured", http.StatusServiceUnavailable, "The model is not usable",
		"The service may not use its model at present; its operator has been told why. \"fallback\": \"lexical\" grades without it.")
	StoreUnavailable = declare("store-unavailable", http.StatusServiceUnavailable, "The store cannot be reached right now",
		"The store does not answer, so that no batch can be taken in or read, it cannot be said whether this grade is kept, nor can it be forgotten, nor can a request with an Idempotency-Key be made to happen once. Grading without such a key goes on. Try again after Retry-After.")
	StorageFull = declare("storage-full", http.StatusServiceUnavailable, "There is no room for another batch",
		"What is accepted already is finished; new batches are refused until there is room again. Try again after Retry-After.")
	StorageNotDurable = declare("storage-not-durable", http.StatusServiceUnavailable, "The store would lose a batch",
		"The Redis of this service does not keep what it is told (appendonly, noeviction), so that it accepts no batches unless --allow-volatile is given. Its operator has to look.")
	Overloaded = declare("overloaded", http.StatusServiceUnavailable, "The service has too much to do",
		"As many answers are being graded, or batches taken in, as the service takes on at once. Nothing was begun. Try again after Retry-After.")
	KeysUnavailable = declare("keys-unavailable", http.StatusServiceUnavailable, "Keys cannot be checked right now",
		"The store of keys does not answer, so it cannot be said whether this key is valid. Try again after Retry-After.")
	ShuttingDown = declare("shutting-down", http.StatusServiceUnavailable, "The service is shutting down",
		"Requests in progress are finished, new ones are refused. Try again after Retry-After.")
	ItemExpired = declare("item-expired", http.StatusGatewayTimeout, "The answer could not be graded in time",
		"In a row of results: the model could not be asked for so long that the answer's time was up. Send it again in another batch.")
	ModelTimeout = declare("model-timeout", http.StatusGatewayTimeout, "The model took too long",
		"The grade was not ready within the time limit. Try again, or allow \"fallback\": \"lexical\".")
)

var catalogue []ProblemType

func declare(slug string, status int, title, meaning string) ProblemType {
	t := ProblemType{Type: problems + slug, Status: status, Title: title, Meaning: meaning}
	catalogue = append(catalogue, t)
	return t
}

// ProblemTypes lists the catalogue, by status.
func ProblemTypes() []ProblemType { return append([]ProblemType(nil), catalogue...) }
