import { setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type { ResolvedAgent } from '../protocol/agent.ts';
import type { ResolvedEnvironment } from '../protocol/environment.ts';
import { MAIN_HAND } from '../protocol/hand.ts';
import { NO_USAGE } from '../protocol/model-usage.ts';
import { jsonBytes } from '../protocol/oversized.ts';
import { presentHands } from '../protocol/present-hands.ts';
import type { SessionResourceSpec } from '../protocol/resource.ts';
import type {
  BorrowedHand,
  Continued,
  HandState,
  McpListing,
  OpenCall,
  RecentUpdate,
  SessionInput,
  SessionResource,
} from '../protocol/session.ts';
import type {
  ModelUsage,
  RecordedEvent,
  RefusalDetails,
  StopReason,
} from '../protocol/session-event.ts';
import type { StartProof } from '../protocol/start-proof.ts';
import type { SessionHands } from '../protocol/tool-hands.ts';
import type { UserEvent } from '../protocol/user-event.ts';
import { Details } from './details.ts';

const MAX_RECENT_UPDATES = 1_000;
/** The server allows 2,000; interrupts alone use them up without a step that could suggest more. */
const MAX_UPDATES_OF_RUN = 1_500;

/** Over the server's 2 MB it would end the session. */
const MAX_CARRIED_BYTES = 1_900_000;

/** Everything a session knows besides its log. Small: a roll-over carries all of it. */
export class SessionState {
  agent: ResolvedAgent | null = null;
  /** Of hand `main`. */
  environment: ResolvedEnvironment | null = null;
  /** Of the other hands. */
  environments: Readonly<Record<string, ResolvedEnvironment>> = {};
  /** Null until the first status is written. */
  status: 'running' | 'idle' | null = null;
  stopReason: StopReason | null = null;
  stopDetails: RefusalDetails | null = null;
  /** The search attribute of the agent is written. */
  announced = false;
  /** Accepted events that the loop has not acted on, oldest first. */
  inbox: UserEvent[] = [];
  owesResponse = false;
  upgradeRequested = false;
  rollOverSuggested = false;
  /** Null: nobody has signed with what the session was started. */
  startProof: StartProof | null = null;
  triedToProveStart = false;
  /** Answers cut at the output limit, in a row. */
  cutAnswers = 0;
  readonly calls = new Map<string, OpenCall>();
  /** The session's own, by name. */
  readonly hands = new Map<string, HandState>();
  /** Hands of other sessions, by the name they have in this one. */
  readonly borrowed = new Map<string, BorrowedHand>();
  /** By the name of the server. */
  readonly mcpListings = new Map<string, McpListing>();
  readonly details: Details;
  usage: ModelUsage = NO_USAGE;
  steps = 0;
  turns = 0;
  private recentUpdates: RecentUpdate[] = [];
  private updatesOfRun = 0;
  private readonly recentCounts = new Map<string, number>();
  private readonly runIndex: number;
  private readonly runIds: readonly string[];
  private readonly createdAt: string;
  readonly resources: readonly SessionResourceSpec[];
  readonly vaultIds: readonly string[];
  private readonly input: SessionInput;

  constructor(input: SessionInput) {
    this.input = input;
    const continued = input.continued;
    this.details = new Details(input.title ?? null, continued?.details ?? '');
    this.runIndex = continued?.run_index ?? 0;
    this.runIds = continued?.run_ids ?? [];
    this.resources = continued?.resources ?? input.resources;
    this.vaultIds = continued === undefined ? input.vault_ids : (continued.vault_ids ?? []);
    this.createdAt = continued?.created_at ?? workflowInfo().startTime.toISOString();
    if (continued !== undefined) this.restore(continued);
    this.enqueue(continued === undefined ? (input.initial_events ?? []) : []);
  }

  enqueue(events: readonly UserEvent[]): void {
    this.inbox.push(...events);
  }

  /** Number of events of an update that was accepted before, in this run or an earlier one. */
  recentCount(updateId: string): number | undefined {
    return this.recentCounts.get(updateId);
  }

  remember(updateId: string, count: number): void {
    this.recentUpdates.push({ id: updateId, count });
    this.recentCounts.set(updateId, count);
    this.updatesOfRun += 1;
    if (this.updatesOfRun >= MAX_UPDATES_OF_RUN) this.rollOverSuggested = true;
    if (this.recentUpdates.length <= MAX_RECENT_UPDATES) return;
    const oldest = this.recentUpdates.shift();
    if (oldest !== undefined) this.recentCounts.delete(oldest.id);
  }

  readyCalls(): OpenCall[] {
    return [...this.calls.values()].filter((call) => call.waits_for === 'ready');
  }

  /** Calls that wait for a person or the client. */
  waitingCalls(): OpenCall[] {
    return [...this.calls.values()].filter((call) => call.waits_for !== 'ready');
  }

  environmentOf(hand: string): ResolvedEnvironment {
    const environment = hand === MAIN_HAND ? this.environment : this.environments[hand];
    if (environment) return environment;
    throw new TypeError(`hand ${hand} was asked for before the session opened`);
  }

  sessionHands(): SessionHands {
    const { environment, environments } = this;
    const passed = [...this.borrowed].map(([name, { hand }]) => [name, hand] as const);
    return { environment, environments, passed: Object.fromEntries(passed) };
  }

  hasInterrupt(): boolean {
    return this.inbox.some((event) => event.type === 'user.interrupt');
  }

  hasWork(): boolean {
    if (this.inbox.length > 0 || this.readyCalls().length > 0) return true;
    return this.owesResponse && this.calls.size === 0;
  }

  noteDetails(events: readonly (UserEvent | RecordedEvent)[]): void {
    for (const event of events) this.details.add(event);
    setCurrentDetails(this.details.text());
  }

  toResource(): SessionResource {
    return {
      type: 'session',
      id: workflowInfo().workflowId,
      status: this.status ?? 'idle',
      stop_reason: this.stopReason,
      title: this.input.title ?? null,
      metadata: this.input.metadata,
      agent: this.agent,
      environment: this.environment,
      environments: this.environments,
      resources: this.resources,
      vault_ids: this.vaultIds,
      usage: this.usage,
      pending_actions: this.waitingCalls().map((call) => call.id),
      hands: presentHands(this.hands, this.borrowed),
      created_at: this.createdAt,
    };
  }

  /**
   * A roll-over is wanted, and what it carries fits into one payload. If not, calls with large
   * inputs are open: it comes after them.
   */
  mayRollOver(): boolean {
    const { agent, environment } = this;
    if (agent === null || environment === null) return false;
    if (!this.upgradeRequested && !this.rollOverSuggested) return false;
    return jsonBytes(this.toContinuedInput(agent, environment)) <= MAX_CARRIED_BYTES;
  }

  /** Before a roll-over; sessions without vaults schedule what they always did. */
  mustProveStart(): boolean {
    return this.vaultIds.length > 0 && this.startProof === null && !this.triedToProveStart;
  }

  /** Input of the next run. Only between steps, with an empty inbox. */
  toContinuedInput(agent: ResolvedAgent, environment: ResolvedEnvironment): SessionInput {
    const { title, metadata } = this.input;
    const continued: Continued = {
      run_index: this.runIndex + 1,
      run_ids: [...this.runIds, workflowInfo().runId],
      created_at: this.createdAt,
      agent,
      environment,
      environments: this.environments,
      borrowed: Object.fromEntries(this.borrowed),
      resources: this.resources,
      vault_ids: this.vaultIds,
      ...(this.startProof === null ? {} : { start_proof: this.startProof }),
      status: this.status ?? 'idle',
      stop_reason: this.stopReason,
      stop_details: this.stopDetails,
      owes_response: this.owesResponse,
      cut_answers: this.cutAnswers,
      calls: [...this.calls.values()],
      hands: Object.fromEntries(this.hands),
      usage: this.usage,
      steps: this.steps,
      turns: this.turns,
      recent_updates: this.recentUpdates,
      details: this.details.carried(),
      ...(this.mcpListings.size === 0
        ? {}
        : { mcp_listings: Object.fromEntries(this.mcpListings) }),
    };
    return {
      metadata,
      continued,
      resources: [],
      vault_ids: [],
      ...(title === undefined ? {} : { title }),
    };
  }

  private restore(continued: Continued): void {
    this.agent = continued.agent;
    this.environment = continued.environment;
    this.environments = continued.environments ?? {};
    this.status = continued.status;
    this.stopReason = continued.stop_reason;
    this.stopDetails = continued.stop_details;
    this.announced = true;
    this.startProof = continued.start_proof ?? null;
    this.owesResponse = continued.owes_response;
    this.cutAnswers = continued.cut_answers;
    this.usage = continued.usage;
    this.steps = continued.steps;
    this.turns = continued.turns;
    for (const call of continued.calls) this.calls.set(call.id, call);
    for (const [name, hand] of Object.entries(continued.hands)) this.hands.set(name, hand);
    for (const [name, hand] of Object.entries(continued.borrowed ?? {})) {
      this.borrowed.set(name, hand);
    }
    for (const [server, listing] of Object.entries(continued.mcp_listings ?? {})) {
      this.mcpListings.set(server, listing);
    }
    for (const update of continued.recent_updates) this.remember(update.id, update.count);
    this.updatesOfRun = 0;
    this.rollOverSuggested = false;
  }
}
