"""The decision core: what a rollout does next, for a cluster, for local processes and for virtual time alike.

Pure. It sees no clock, no socket, no random number and no log; time is an argument, effects are returned as data,
and an import rule holds that. Where to find what:

* the thin waist: `snapshot` (all that a decision may know), `decisions` (decide), `actions` (what it asks for),
  `status` (what is remembered), `records` (why), `operator` (a person's word), `driving` (bookkeeping for drivers);
* how it decides: `plan` (what follows from the spec), `look` (one look's working state), `draft` (the next
  status in the making), `services`, `weights`,
  `replicas` and `scaling`, `pauses`, `steps`, `gates` and `launching` (a rollout's analyses), `promotion`,
  `standing` (conditions and phase), `restarting`, `metadata`, `validity`;
* analysis runs: `runs` (values), `analysis` (what is due, what measurements mean), `verdicts` (limits),
  `measuring` (an answer becomes a measurement), `conditions` (the condition language), `evidence` (the request
  guard), `evidence_deadlines`, `explaining` (records of measurements);
* `invariants`: what must hold in every world, checked over a history of decisions.
"""
