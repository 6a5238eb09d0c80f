// What a channel of notifications is: something outside that takes a short message for reviewers.

/** A message to all reviewers. It names datasets and counts, and nothing of what a change holds. */
export interface NotificationMessage {
  /** One line. */
  readonly subject: string;
  /** Plain text in lines. */
  readonly text: string;
}

/** The names of channels, which are stored. */
export type ChannelName = "webhook" | "email";

/** Where messages go. */
export interface NotificationChannel {
  readonly name: ChannelName;
  /** Resolves when the channel has accepted the message. Throws `ChannelFault`. */
  send(message: NotificationMessage, signal: AbortSignal): Promise<void>;
}

/**
 * Says why a channel did not take a message, as the end of a sentence about the channel. It goes to the log: it has a status or code, and
 * neither addresses nor text of the other side.
 */
export class ChannelFault extends Error {}
