import type Anthropic from '@anthropic-ai/sdk';
import type { Message } from './messages.ts';

/** Body of a model request, with the betas it needs. */
export interface MessagesRequest
  extends Pick<
    Anthropic.Beta.MessageCreateParamsStreaming,
    'model' | 'max_tokens' | 'thinking' | 'output_config' | 'speed' | 'betas'
  > {
  readonly system?: Anthropic.Beta.BetaTextBlockParam[];
  readonly tools?: Anthropic.Beta.BetaToolUnion[];
  readonly messages: Message[];
}
