package api

// ReadyState says whether the service should be sent requests.
type ReadyState string

// Ready and Degraded answer 200: a degraded service works, but slower or with
// less. Unready and Draining answer 503.
const (
	Ready    ReadyState = "ready"
	Degraded ReadyState = "degraded"
	Unready  ReadyState = "unready"
	Draining ReadyState = "draining"
)

// Readiness is what the service found about itself.
type Readiness struct {
	Status ReadyState `json:"status" enum:"ready,degraded,unready,draining"`
	Checks []Check    `json:"checks" nullable:"false"`
}

// Check is one thing that was looked at. Detail never holds a secret.
type Check struct {
	Name   string     `json:"name" example:"redis"`
	Status ReadyState `json:"status" enum:"ready,degraded,unready,draining"`
	Detail string     `json:"detail,omitempty"`
}

// Liveness says that the process answers.
type Liveness struct {
	Status  string `json:"status" enum:"ok"`
	Version string `json:"version,omitempty"`
}
